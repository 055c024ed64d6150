"""The doctor at models, workers and work that is stuck, on both databases."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from cli.checks.finding import Finding, Status
from db.checkpoint import read_checkpoint_facts
from db.clock import utc_now
from db.database import Database
from db.jobs import NewJob, create_job
from db.registry import register_model
from db.reviews import store_reviews
from db.schedules import add_schedule
from db.settings import DatabaseSettings
from db.tables import Chunk, Job, Model, Notification, WorkerProcess
from db.workers import SignOfLife, register_worker
from tests.cli.doctor.conftest import Examine
from tests.conftest import Run
from tests.samples import CHECKPOINTS, SomeReview

_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def only(found: list[Finding]) -> Finding:
    (one,) = found
    return one


@pytest.fixture(autouse=True)
def named(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A migrated, empty database of each kind, which the settings name."""
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database.url.render_as_string(hide_password=False))
    return database


@pytest.fixture
def bert(database: Database, tmp_path: Path) -> Path:
    """A registered model, in a folder of its own, beside another that stays as it is."""
    folder = tmp_path / "bert"
    shutil.copytree(CHECKPOINTS / "bert", folder)
    with database.write() as connection:
        for name, path in (("mine", folder), ("other", CHECKPOINTS / "roberta")):
            register_model(connection, name, path, read_checkpoint_facts(path), kind="directory")
    return folder


@pytest.fixture
def job(database: Database) -> int:
    """A job of one chunk that was made ten minutes ago and never served."""
    with database.write() as connection:
        ids = store_reviews(connection, "f.csv", [SomeReview("1", "a text")])
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], notify="https://shop.example/done"))
        connection.execute(update(Job).values(created_at=utc_now(-600)))
    return job_id


@pytest.fixture
def alive(database: Database) -> Callable[..., None]:
    """A worker that gives a sign of life now."""

    def live(owner: str = "box:7", version: str = "0.1.0", queues: tuple[str, ...] = ("score", "train")) -> None:
        with database.write() as connection:
            sign = SignOfLife(owner, "box", 7, "cpu@box", queues, "openvino", [], version, 0.0, 0.0)
            register_worker(connection, sign)

    return live


def test_files_of_models_are_those_that_were_registered(bert: Path, findings: Examine) -> None:
    assert "the files of 2 versions are those that were registered" in only(findings("models")).what


def test_copies_of_models_in_a_store_are_looked_at_where_there_are_any(
    bert: Path, database: Database, findings: Examine
) -> None:
    facts = read_checkpoint_facts(bert)
    with database.write() as connection:
        connection.execute(update(Model).where(Model.name == "mine").values(path=f"store:{facts.digest}"))
    # Fetched at its first use, which is none of the doctor's business.
    copy = DatabaseSettings().models_cache / facts.digest
    assert only(findings("models")).status is Status.OK
    assert not copy.exists()
    shutil.copytree(bert, copy)
    assert only(findings("models")).status is Status.OK
    config = copy / "config.json"
    config.write_text(config.read_text().replace("LABEL", "LABLE").replace("{", '{"spoiled": 1, ', 1))
    damaged = only(findings("models"))
    assert (damaged.status, damaged.mend) == (Status.WRONG, f"remove the copy: {copy}")
    assert only(findings("models", quick=True)).status is Status.OK


def test_a_damaged_model_file_is_told_with_what_to_do(bert: Path, findings: Examine) -> None:
    weights = bert / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    one = only(findings("models"))
    assert (one.status, "mine@1" in one.what, "backup" in one.mend) == (Status.WRONG, True, True)
    # Others are not looked at where one is named, and no file is read where it is to be quick.
    assert only(findings("models", models=("other",))).status is Status.OK
    assert only(findings("models", quick=True)).status is Status.OK
    assert only(findings("models", models=("mine@1",))).status is Status.WRONG
    weights.write_bytes(b"no weights")
    assert "cannot be read" in only(findings("models")).what


def test_a_model_whose_files_are_gone_is_told_also_where_it_is_to_be_quick(bert: Path, findings: Examine) -> None:
    shutil.rmtree(bert)
    assert "are gone" in only(findings("models", quick=True)).what


def test_a_model_that_there_is_not_is_told(bert: Path, findings: Examine) -> None:
    assert "no model is named 'nobody'" in only(findings("models", models=("nobody",))).what


@pytest.mark.usefixtures("team_redis")
def test_no_worker_and_workers_of_other_versions_are_warned_of(
    findings: Examine, alive: Callable[..., None], database: Database
) -> None:
    assert (one := only(findings("workers"))).status is Status.WARNING
    assert "reviewmill worker" in one.mend
    alive()
    assert "cpu@box (box:7)" in only(findings("workers")).what
    alive("old:9", version="0.0.9")
    one = only(findings("workers"))
    assert (one.status, "old:9 (0.0.9)" in one.what) == (Status.WARNING, True)
    with database.write() as connection:
        connection.execute(update(WorkerProcess).values(seen_at=utc_now(-120)))
    assert "none is alive" in only(findings("workers")).what


@pytest.mark.usefixtures("team_redis", "job")
def test_work_that_nobody_takes_is_told(findings: Examine, alive: Callable[..., None], database: Database) -> None:
    one = only(findings("work"))
    assert (one.status, one.mend) == (Status.WRONG, "reviewmill worker --queues score")
    alive(queues=("train",))
    assert "no worker serves it" in only(findings("work")).what
    alive(queues=("score",))
    assert "though box:7 should" in only(findings("work")).what
    with database.write() as connection:
        connection.execute(update(Job).values(served_at=utc_now()))
    assert only(findings("work")).status is Status.OK


@pytest.mark.usefixtures("team_redis", "job")
def test_work_that_waits_behind_other_work_of_its_kind_is_not_stuck(
    findings: Examine, alive: Callable[..., None], database: Database
) -> None:
    """As behind a training, which may take hours."""
    alive()
    with database.write() as connection:
        held = {"state": "leased", "lease_owner": "box:7", "lease_expires_at": utc_now(60)}
        connection.execute(update(Chunk).values(held))
        ids = store_reviews(connection, "f.csv", [SomeReview("1", "a text")])
        create_job(connection, NewJob("score", {}, [ids]))
        connection.execute(update(Job).values(created_at=utc_now(-600)))
    assert only(findings("work")).status is Status.OK
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.state == "leased").values(lease_expires_at=utc_now(-60)))
    assert "the queue score has 2 free chunks" in only(findings("work")).what


@pytest.mark.usefixtures("job")
def test_work_that_waits_for_an_embedded_stack_is_a_warning_only(findings: Examine) -> None:
    one = only(findings("work"))
    assert (one.status, "reviewmill up" in one.mend) == (Status.WARNING, True)


@pytest.mark.usefixtures("job")
def test_a_chunk_whose_holder_is_gone_is_told(
    findings: Examine, alive: Callable[..., None], database: Database
) -> None:
    with database.write() as connection:
        held = {"state": "leased", "lease_owner": "gone:3", "lease_expires_at": utc_now(3_600)}
        connection.execute(update(Chunk).values(held))
    assert "gone:3 holds 1 chunk" in only(findings("work")).what
    alive("gone:3")
    assert only(findings("work")).status is Status.OK


def test_a_schedule_that_nobody_fires_is_told(findings: Examine, database: Database) -> None:
    with database.write() as connection:
        about = {"cron": "0 2 * * *", "timezone": "UTC", "command": "score", "params": {}}
        add_schedule(connection, "nightly", **about, next_run_at=_LONG_AGO)
    one = only(findings("work"))
    assert (one.status, "nightly" in one.what, "reviewmill beat" in one.mend) == (Status.WRONG, True, True)


@pytest.mark.usefixtures("job")
def test_notifications_that_nobody_posts_are_told(findings: Examine, database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(Chunk).values(state="done"))
        connection.execute(update(Job).values(state="done", finished_at=utc_now(-1_000)))
    one = only(findings("work"))
    assert (one.status, "1 notification " in one.what) == (Status.WARNING, True)
    assert "REVIEWMILL_NOTIFY_SECRET" in one.mend
    with database.write() as connection:
        connection.execute(update(Notification).values(next_attempt_at=utc_now(30)))
    assert only(findings("work")).status is Status.OK


def test_the_answer_of_the_command_is_one_document(bert: Path, run: Run) -> None:
    done = run("doctor", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], done.stderr) == (0, True, "")
    assert {"check", "status", "what", "mend"} == set(document["checks"][0])
    rows = {row["name"]: row for row in document["settings"]}
    assert rows["REVIEWMILL_HOME"]["source"] == "environment"
    assert (rows["REVIEWMILL_LEASE_S"]["value"], rows["REVIEWMILL_LEASE_S"]["source"]) == ("60", "default")
    shutil.rmtree(bert)
    broken = run("doctor")
    assert broken.returncode == 1
    assert "wrong   models: the files of mine@1 are gone" in broken.stdout
    assert "To mend it: put them back from a backup" in broken.stdout.replace("\n", " ")
    assert "1 wrong" in broken.stdout
