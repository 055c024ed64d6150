"""Each piece of advice of `reviewmill jobs show`, and that a job that goes well gets none."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Connection

from cli.jobs import command
from db.claims import Claim, claim_chunk, fail_chunk, finish_chunk, postpone, release_dead
from db.database import Database
from db.jobs import NewJob, RejectedRow, cancel_job, create_job, settle_job
from db.predictions import ScoreFailure, store_score_failures
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from tests.samples import SomeReview, facts

MEND = "mend the rows that could not be read, and score the source again: what is scored is reused"
RETRY = "run what failed again, and only that: reviewmill jobs retry 1"


@pytest.fixture
def database() -> Database:
    """The database of this test's home, with a model and two reviews, ids 1 and 2."""
    opened = open_database()
    with opened.write() as connection:
        register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        assert store_reviews(connection, "f.csv", [SomeReview("r1", "good"), SomeReview("r2", "bad")]) == [1, 2]
    return opened


def claimed(connection: Connection, kind: str = "score", **fields: Any) -> Claim:
    """The only chunk of a new job, claimed."""
    _, (chunk_id,) = create_job(connection, NewJob(kind, {}, [[1, 2]], model_id=1, **fields))
    held = claim_chunk(connection, chunk_id, "me", 60)
    assert held is not None
    return held


def finished(connection: Connection, failed: int = 0, **fields: Any) -> None:
    """A job that is done, with so many reviews that failed alone."""
    held = claimed(connection, **fields)
    finish_chunk(connection, held, scored=2 - failed, failed=failed)
    store_score_failures(connection, held.job_id, [ScoreFailure(2, "r2", "the model sneezed")] * failed)
    settle_job(connection, held.job_id)


def show(*options: str) -> str:
    shown = CliRunner().invoke(command, ["show", "1", *options])
    assert shown.exit_code == 0, shown
    return shown.stdout


def advised() -> list[str]:
    """What `jobs show` advises; in words as in JSON."""
    in_json = json.loads(show("--json"))["advice"]
    _, _, in_words = show().partition("\nWhat to do\n")
    assert [line.strip() for line in in_words.splitlines()] == in_json
    return in_json


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("[Errno 28] No space left on device: '/models'", "free disk space on the worker's machine"),
        ("database or disk is full", "free disk space on the database's machine"),
        ("[Errno 122] Disk quota exceeded", "raise the quota"),
        ("the database postgresql://db/reviews cannot be used: no route", "see that the database server runs"),
    ],
)
def test_what_passes_by_itself_names_its_cure_and_no_retry(database: Database, reason: str, remedy: str) -> None:
    with database.write() as connection:
        postpone(connection, claimed(connection), reason, 60)
    (line,) = advised()
    assert remedy in line
    assert line.endswith("the chunk is tried again by itself")
    (trouble,) = json.loads(show("--json"))["troubles"]
    assert (trouble["state"], trouble["errors"], trouble["error"]) == ("pending", 0, reason)
    assert trouble["next_attempt_at"]


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("the files of sentiment@1 are gone: /models/sentiment", "put the model's folder back"),
        ("the base checkpoint /bases/bert is not a folder on this machine", "put the base's folder there"),
        ("the worker died 3 times while training; it may need more memory", "lower --batch-size or --max-length"),
    ],
)
def test_a_failed_chunk_names_its_cure_and_then_the_retry(database: Database, reason: str, remedy: str) -> None:
    with database.write() as connection:
        fail_chunk(connection, claimed(connection, "finetune"), reason)
    cure, then = advised()
    assert remedy in cure
    assert then == f"then {RETRY}"
    assert reason in show()


def test_a_failed_chunk_without_a_known_cure_still_names_the_retry(database: Database) -> None:
    with database.write() as connection:
        fail_chunk(connection, claimed(connection), "an error nobody has met yet")
    assert advised() == [RETRY]


def test_two_chunks_with_two_reasons_get_two_cures(database: Database) -> None:
    with database.write() as connection:
        _, chunk_ids = create_job(connection, NewJob("score", {}, [[1], [2]], model_id=1))
        for chunk_id, reason in zip(chunk_ids, ("the files of m@1 are gone", "No space left on device"), strict=True):
            held = claim_chunk(connection, chunk_id, "me", 60)
            assert held is not None
            postpone(connection, held, reason, 60)
    assert [line.split()[0] for line in advised()] == ["free", "put"]


def test_reviews_that_failed_alone_can_be_run_again(database: Database) -> None:
    with database.write() as connection:
        finished(connection, failed=1)
    assert advised() == [RETRY]
    assert "review r2: the model sneezed" in show()


def test_rows_that_could_not_be_read_are_to_be_mended_and_not_retried(database: Database) -> None:
    with database.write() as connection:
        finished(connection, rejected=[RejectedRow(7, "r7", "no text")])
    assert advised() == [MEND]
    assert "line 7, review r7: no text" in show()


def test_both_kinds_of_failures_get_both_pieces_of_advice(database: Database) -> None:
    with database.write() as connection:
        finished(connection, failed=1, rejected=[RejectedRow(7, "r7", "no text")])
    assert advised() == [RETRY, MEND]


def test_a_cancelled_job_is_scored_again_from_its_source(database: Database) -> None:
    with database.write() as connection:
        cancel_job(connection, claimed(connection).job_id)
    assert advised() == ["to have the rest scored, score the source again: what is scored is reused"]


def test_a_job_that_waits_is_told_what_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.write() as connection:
        create_job(connection, NewJob("score", {}, [[1, 2]], model_id=1))
    assert advised() == ["it waits for a stack to work on it: reviewmill jobs watch 1"]
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://127.0.0.1:9/0")
    assert advised() == ["it waits for a worker: start one with `reviewmill worker`, if none runs"]


def test_a_chunk_that_lost_a_worker_is_in_trouble_while_it_is_not_done(database: Database) -> None:
    with database.write() as connection:
        claimed(connection)
        release_dead(connection, "me")
    (trouble,) = json.loads(show("--json"))["troubles"]
    assert (trouble["state"], trouble["attempt"], trouble["deaths"]) == ("pending", 1, 1)
    with database.write() as connection:
        finish_chunk(connection, claim_chunk(connection, 1, "heir", 60), scored=2)  # type: ignore[arg-type]
        settle_job(connection, 1)
    assert json.loads(show("--json"))["troubles"] == []
    assert "in trouble" not in show()


@pytest.mark.parametrize("make", [claimed, finished])
def test_a_job_that_goes_well_needs_no_advice(database: Database, make: Any) -> None:
    with database.write() as connection:
        make(connection)
    assert advised() == []
    assert "What to do" not in show()


def test_a_training_with_unread_rows_is_not_to_be_retried(database: Database) -> None:
    with database.write() as connection:
        finished(connection, kind="finetune", rejected=[RejectedRow(7, None, "no label")])
    assert advised() == []
    assert json.loads(show("--json"))["failed"] == 1
