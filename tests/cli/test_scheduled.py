"""A run of a schedule, without workers: what is read, what is left out, and what becomes of one that cannot be read."""

import json
import shutil
from collections.abc import Callable
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from cli.requests import read_request
from cli.scheduled import perform
from db.claims import claim_chunk, finish_chunk
from db.database import Database
from db.errors import LeaseLost, UnknownModel
from db.jobs import JobStatus, cancel_job, job_status, list_jobs, settle_job
from db.predictions import Scored, store_predictions
from db.promotion import promote
from db.schedule_runs import HeldRun, RunStatus, begin_run, runs_of, take_run
from db.schedules import add_schedule, find_schedule
from db.tables import Chunk, Prediction
from producer.checkpoints import add_from
from producer.enqueue import Doorway
from producer.errors import SourceError
from producer.settings import ProducerSettings
from tests.samples import CHECKPOINTS, verdict

LATER = datetime(2036, 1, 1, tzinfo=UTC)
BERT = CHECKPOINTS / "bert"
Schedule = Callable[..., None]


@pytest.fixture
def schedule(database: Database, tmp_path: Path) -> Schedule:
    """Schedule a command in the test's folder, as `schedule add` stores it."""

    def add(command: str, *arguments: object, **params: object) -> None:
        given = {"arguments": [*map(str, arguments)], "directory": str(tmp_path), "overlap": "skip", "rescore": False}
        with database.write() as connection:
            add_schedule(
                connection,
                "nightly",
                cron="0 2 * * *",
                timezone="UTC",
                command=command,
                params=given | params,
                next_run_at=LATER,
            )

    return add


def begin(database: Database, **options: bool) -> HeldRun:
    with database.write() as connection:
        return begin_run(connection, "nightly", "me", 60, **options)


def night(database: Database, **options: bool) -> JobStatus:
    """A run of the schedule, and the work on its job."""
    job_id = perform(database, None, begin(database, **options), 60)
    work(database, job_id)
    with database.read() as connection:
        return job_status(connection, job_id)


def work(database: Database, job_id: int) -> None:
    """Do what workers do with a job, but for the inference."""
    with database.write() as connection:
        for chunk_id in list(connection.scalars(select(Chunk.id).where(Chunk.job_id == job_id))):
            claim = claim_chunk(connection, chunk_id, "worker", 60)
            assert claim is not None
            assert claim.model_id is not None
            scored = [Scored(review_id, job_id, verdict(0.9)) for review_id in claim.review_ids]
            store_predictions(connection, claim.model_id, scored)
            finish_chunk(connection, claim, scored=len(scored))
            settle_job(connection, job_id)


def history(database: Database) -> list[RunStatus]:
    with database.read() as connection:
        return runs_of(connection, find_schedule(connection, "nightly").id)


def write(path: Path, *texts: str) -> None:
    path.write_text("".join(json.dumps({"key": n, "body": text}) + "\n" for n, text in enumerate(texts)))


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.jsonl"
    write(path, "good", "bad")
    return path


def add_version(database: Database, tmp_path: Path, alias: str) -> str:
    """Register another version of `stars`, of other files, and move the alias to it."""
    folder = tmp_path / f"version-{len(list(tmp_path.iterdir()))}"
    shutil.copytree(BERT, folder)
    tokens = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens | {"version": folder.name}))
    added = add_from(database, str(folder), "stars")
    with database.write() as connection:
        promote(connection, added.reference, alias)
    return added.reference


SCORE = ("reviews.jsonl", "--text", "body", "--id", "key", "--model")


@pytest.mark.usefixtures("reviews")
def test_a_growing_file_three_nights_in_a_row(
    database: Database, schedule: Schedule, reviews: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule("score", *SCORE, BERT)
    monkeypatch.chdir("/")  # a beat runs anywhere
    first = night(database)
    assert (first.total, first.scored, first.params["skipped"], first.params["schedule"]) == (2, 2, 0, "nightly")
    write(reviews, "good", "bad", "new", "newer")
    second = night(database)
    assert (second.total, second.scored, second.params["skipped"]) == (2, 2, 2)
    write(reviews, "good", "it got worse", "new", "newer", "newest")
    third = night(database)  # one is new, and one has a new text
    assert (third.total, third.scored, third.params["skipped"]) == (2, 2, 3)
    fourth = night(database)
    assert (fourth.state, fourth.total, fourth.params["skipped"], fourth.chunks) == ("done", 0, 5, 0)
    assert [(run.outcome, run.job_total, run.skipped) for run in history(database)] == [
        ("done", 0, 5),
        ("done", 2, 3),
        ("done", 2, 2),
        ("done", 2, 0),
    ]
    assert {job.schedule_id for job in (first, second, third, fourth)} == {1}
    assert Path.cwd() == Path("/")


def test_a_growing_table_three_nights_in_a_row(database: Database, schedule: Schedule, database_url: str) -> None:
    """On the team's own server, or in the same SQLite file."""
    with database.write() as connection:
        connection.execute(text("CREATE TABLE texts (key INTEGER PRIMARY KEY, body TEXT)"))
    table = f"{'&' if '?' in database_url else '?'}table=texts"
    schedule("score", f"sql:{database_url}{table}", "--text", "body", "--id", "key", "--model", BERT)
    told = []
    for rows in (3, 5, 5):
        with database.write() as connection:
            connection.execute(text("DELETE FROM texts"))
            values = [{"key": key, "body": f"text {key}"} for key in range(rows)]
            connection.execute(text("INSERT INTO texts VALUES (:key, :body)"), values)
        job = night(database)
        told.append((job.total, job.scored, job.params["skipped"]))
    assert told == [(3, 3, 0), (2, 2, 3), (0, 0, 5)]
    with database.read() as connection:
        predictions = select(func.count(), func.count(Prediction.review_id.distinct())).select_from(Prediction)
        assert connection.execute(predictions).one() == (5, 5)


def test_a_growing_directory_three_nights_in_a_row(
    database: Database, schedule: Schedule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "exports").mkdir()
    schedule("score", "exports/", "--text", "body", "--id", "key", "--model", BERT)
    monkeypatch.chdir("/")
    told = []
    for number in range(3):
        rows = [{"key": f"{number}-{n}", "body": f"text {number} {n}"} for n in range(4)]
        (tmp_path / "exports" / f"{number}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        job = night(database)
        told.append((job.total, job.scored, job.params["skipped"]))
    assert told == [(4, 4, 0), (4, 4, 4), (4, 4, 8)]


@pytest.mark.usefixtures("reviews")
def test_a_run_follows_the_alias_and_rescores_only_when_told(
    database: Database, schedule: Schedule, reviews: Path, tmp_path: Path
) -> None:
    first_version = add_version(database, tmp_path, "production")
    schedule("score", *SCORE, "stars@production")
    assert night(database).model == first_version
    second_version = add_version(database, tmp_path, "production")
    write(reviews, "good", "bad", "new")
    second = night(database)
    assert (second.model, second.params["model_as_asked"]) == (second_version, "stars@production")
    assert (second.total, second.params["skipped"]) == (1, 2)
    told = night(database, rescore=True)
    # What this very version has scored is not scored again even so.
    assert (told.model, told.total, told.params["skipped"]) == (second_version, 2, 1)
    assert night(database, rescore=True).total == 0


@pytest.mark.usefixtures("reviews")
def test_a_schedule_that_rescores_does_so_at_every_new_version(
    database: Database, schedule: Schedule, tmp_path: Path
) -> None:
    add_version(database, tmp_path, "production")
    schedule("score", *SCORE, "stars@production", rescore=True)
    assert night(database).total == 2
    assert night(database).total == 0
    add_version(database, tmp_path, "production")
    assert night(database).total == 2


@pytest.mark.usefixtures("reviews")
def test_rows_that_the_version_scored_for_others_are_left_out_also_after_the_next_promotion(
    database: Database, schedule: Schedule, tmp_path: Path
) -> None:
    add_version(database, tmp_path, "production")
    schedule("score", *SCORE, "stars@production")
    by_hand = score_in(tmp_path, database, *SCORE, "stars")
    work(database, by_hand)
    assert (night(database).total, history(database)[0].skipped) == (0, 2)
    add_version(database, tmp_path, "production")
    assert (night(database).total, history(database)[0].skipped) == (0, 2)


def score_in(folder: Path, database: Database, *arguments: object) -> int:
    """Enqueue a scoring as `reviewmill score` does in that folder; return the job's id."""
    with chdir(folder):
        doorway = Doorway(database, None, ProducerSettings())
        return doorway.enqueue(read_request(database, "score", [*map(str, arguments)]).prepare(doorway))


@pytest.mark.usefixtures("reviews")
def test_what_failed_or_was_cancelled_is_scored_the_next_night(database: Database, schedule: Schedule) -> None:
    schedule("score", *SCORE, BERT)
    job_id = perform(database, None, begin(database), 60)
    with database.write() as connection:
        cancel_job(connection, job_id)
    again = night(database)
    assert (again.total, again.scored, again.params["skipped"]) == (2, 2, 0)


def test_bad_rows_are_told_of_every_night(database: Database, schedule: Schedule, reviews: Path) -> None:
    write(reviews, "good", "  ")
    schedule("score", *SCORE, BERT)
    night(database)
    again = night(database)
    assert (again.state, again.total, again.failed, again.params["skipped"]) == ("done", 1, 1, 1)


@pytest.mark.usefixtures("reviews")
def test_a_source_that_is_gone_fails_the_run_and_not_the_schedule(
    database: Database, schedule: Schedule, reviews: Path
) -> None:
    schedule("score", *SCORE, BERT)
    reviews.rename(reviews.with_suffix(".away"))
    with pytest.raises(SourceError):
        perform(database, None, begin(database), 60)
    (failed,) = history(database)
    assert (failed.outcome, failed.reason, failed.job_id) == ("failed", "no such file: 'reviews.jsonl'", None)
    reviews.with_suffix(".away").rename(reviews)
    assert night(database).scored == 2


@pytest.mark.usefixtures("reviews")
def test_whatever_is_wrong_is_the_reason_of_the_failed_run(
    database: Database, schedule: Schedule, tmp_path: Path
) -> None:
    schedule("score", *SCORE, "nobody")
    with pytest.raises(UnknownModel):
        perform(database, None, begin(database), 60)
    assert "no model is named 'nobody'" in str(history(database)[0].reason)


def test_a_folder_that_is_gone_fails_the_run(database: Database, schedule: Schedule) -> None:
    schedule("score", *SCORE, BERT, directory="/nowhere")
    with pytest.raises(FileNotFoundError):
        perform(database, None, begin(database), 60)
    assert "/nowhere" in str(history(database)[0].reason)


@pytest.mark.usefixtures("reviews")
def test_a_run_that_another_process_took_makes_no_job(database: Database, schedule: Schedule) -> None:
    schedule("score", *SCORE, BERT)
    with database.write() as connection:
        lost = begin_run(connection, "nightly", "me", -1)
        taken = take_run(connection, "you", 60)
    assert taken is not None
    with pytest.raises(LeaseLost):
        perform(database, None, lost, 60)
    job_id = perform(database, None, taken, 60)
    work(database, job_id)
    with database.read() as connection:
        (job,) = list_jobs(connection)
    assert (job.state, job.scored) == ("done", 2)
    assert [run.job_id for run in history(database)] == [job.id] == [job_id]


@pytest.mark.usefixtures("reviews")
def test_a_fine_tuning_by_the_clock_learns_from_everything(
    database: Database, schedule: Schedule, tmp_path: Path
) -> None:
    rows = [{"body": f"text {n}", "label": "ab"[n % 2]} for n in range(20)]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("--text", "body", "--label", "label", "--name", "m", "--base", BERT)
    schedule("finetune", "labelled.jsonl", *options)
    job_id = perform(database, None, begin(database), 60)
    with database.read() as connection:
        job = job_status(connection, job_id)
    assert (job.kind, job.total, job.state, job.params["schedule"]) == ("finetune", 20, "pending", "nightly")
    assert "skipped" not in job.params
