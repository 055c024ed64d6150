"""What `reviewmill jobs retry` leaves alone, whom it rings, and what it does where there is nothing to do."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import redis
from sqlalchemy import select, update

from broker.app import TASKS
from broker.redis_server import RedisServer
from db.claims import claim_chunk, fail_chunk, finish_chunk
from db.database import Database
from db.jobs import NewJob, RejectedRow, cancel_job, create_job, settle_job
from db.predictions import Scored, ScoreFailure, store_predictions, store_score_failures
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from db.tables import Chunk, Prediction
from tests.samples import SomeReview, facts, verdict
from tests.system import home

__all__ = ["home"]

Run = Callable[..., CompletedProcess[str]]
#: The lists that kombu keeps for the queue `score`, by priority.
LISTS = {"high": "reviewmill:score", "normal": "reviewmill:score\x06\x163", "low": "reviewmill:score\x06\x166"}


@pytest.fixture
def client(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    """A plain client of the Redis that commands ring from now on."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    return redis.Redis(unix_socket_path=os.fspath(server.socket))


@pytest.fixture
def database() -> Database:
    """The database of this test's home, with a model and reviews of ids 1 to 6."""
    opened = open_database()
    with opened.write() as connection:
        register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        store_reviews(connection, "f.csv", [SomeReview(f"r{n}", f"text {n}") for n in range(1, 7)])
    return opened


def make_job(database: Database, priority: str = "normal") -> None:
    """Job 1. Of its first chunk review 2 failed; the second failed; a worker holds the third."""
    with database.write() as connection:
        new = NewJob("score", {}, [[1, 2], [3, 4], [5, 6]], model_id=1, priority=priority)
        job_id, chunk_ids = create_job(connection, new)
        first, second, third = (claim_chunk(connection, chunk_id, "me", 60) for chunk_id in chunk_ids)
        assert first
        assert second
        assert third
        finish_chunk(connection, first, scored=1, failed=1)
        store_predictions(connection, 1, [Scored(1, job_id, verdict(0.9))])
        store_score_failures(connection, job_id, [ScoreFailure(2, "r2", "the model sneezed")])
        fail_chunk(connection, second, "the files are gone")


def make_done_job(database: Database) -> None:
    """Job 1, done: one row could not be read, and every review that was read is scored."""
    rejected = [RejectedRow(7, "r7", "no text")]
    with database.write() as connection:
        job_id, (chunk_id,) = create_job(connection, NewJob("score", {}, [[1, 2]], model_id=1, rejected=rejected))
        finish_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), scored=2)  # type: ignore[arg-type]
        settle_job(connection, job_id)


def chunks(database: Database) -> list[tuple]:
    columns = (Chunk.id, Chunk.state, Chunk.attempt, Chunk.lease_owner, Chunk.scored, Chunk.failed, Chunk.review_ids)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(Chunk.id))]


def predictions(database: Database) -> list[tuple]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*Prediction.__table__.columns))]


def rung(client: redis.Redis) -> dict[str, list[int]]:
    """The chunks that workers are told of, by priority; first told first."""
    told = {name: client.lrange(key, 0, -1)[::-1] for name, key in LISTS.items()}
    return {name: [_chunk_id(message) for message in messages] for name, messages in told.items() if messages}


def _chunk_id(message: bytes | str) -> int:
    headers = json.loads(message)["headers"]
    assert headers["task"] == TASKS["score"]
    (chunk_id,) = json.loads(headers["argsrepr"])
    return chunk_id


def test_a_running_job_keeps_what_is_scored_and_what_is_held(run: Run, database: Database, client: redis.Redis) -> None:
    make_job(database)
    before = predictions(database)
    retried = run("jobs", "retry", 1, "--no-wait", "--json")
    assert retried.returncode == 0, retried
    assert json.loads(retried.stdout)["state"] == "running"
    assert chunks(database) == [
        (1, "done", 1, None, 1, 0, [1]),
        (2, "pending", 1, None, 0, 0, [3, 4]),
        (3, "leased", 1, "me", 0, 0, [5, 6]),
        (4, "pending", 0, None, 0, 0, [2]),
    ]
    assert predictions(database) == before
    assert len(before) == 1


def test_a_failed_job_is_pending_again(run: Run, database: Database, client: redis.Redis) -> None:
    make_job(database)
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == 3).values(state="done", scored=2, lease_owner=None))
        settle_job(connection, 1)
    retried = run("jobs", "retry", 1, "--no-wait")
    assert retried.returncode == 0, retried
    assert "Of job 1, 1 chunk and 1 single review run again." in retried.stderr
    shown = json.loads(run("jobs", "show", 1, "--json").stdout)
    assert (shown["state"], shown["error"], shown["scored"], shown["failed"]) == ("pending", None, 3, 0)
    assert shown["chunk_states"] == {"done": 2, "pending": 2}
    assert shown["failures"] == []


def test_only_what_runs_again_is_rung_and_in_the_jobs_priority(
    run: Run, database: Database, client: redis.Redis
) -> None:
    make_job(database, priority="high")
    assert run("jobs", "retry", 1, "--no-wait").returncode == 0
    assert rung(client) == {"high": [2, 4]}
    # Nothing failed since: a second retry tells nobody anything.
    left = chunks(database)
    again = run("jobs", "retry", 1, "--no-wait")
    assert (again.returncode, "Nothing of job 1" in again.stderr) == (0, True)
    assert (rung(client), chunks(database)) == ({"high": [2, 4]}, left)


def test_with_nothing_to_run_again_no_stack_is_started(run: Run, database: Database, home: Path) -> None:
    make_done_job(database)
    left = chunks(database)
    retried = run("jobs", "retry", 1, "--json")
    assert retried.returncode == 0, retried
    assert retried.stderr.splitlines() == ["Nothing of job 1 is there to run again."]
    outcome = json.loads(retried.stdout)
    assert (outcome["state"], outcome["scored"], outcome["failed"]) == ("done", 2, 1)
    assert chunks(database) == left
    assert not (home / "run").exists()


def test_a_retry_that_is_refused_prints_no_answer_and_starts_no_stack(run: Run, database: Database, home: Path) -> None:
    make_job(database)
    with database.write() as connection:
        cancel_job(connection, 1)
    left = chunks(database)
    for job_id, said in (
        (1, "job 1 was cancelled; score its source again"),
        (77, "there is no job 77; the newest is 1"),
    ):
        refused = run("jobs", "retry", job_id, "--json")
        assert (refused.returncode, refused.stdout) == (2, ""), refused
        (error,) = refused.stderr.splitlines()
        assert said in error
    assert chunks(database) == left
    assert not (home / "run").exists()


def test_without_a_redis_that_answers_nothing_is_opened_again(
    run: Run, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_job(database)
    left = chunks(database)
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://127.0.0.1:9/0")
    refused = run("jobs", "retry", 1, "--no-wait")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert "does not answer" in line
    assert chunks(database) == left
