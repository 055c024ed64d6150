"""Workers go on beside a deletion, on a real Redis and each kind of database: they lose nothing that others need."""

import json
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import func, select, update

from broker.redis_server import RedisServer
from db.clock import utc_now
from db.database import Database
from db.jobs import job_status
from db.tables import Chunk, Job, Prediction, Review
from tests.samples import CHECKPOINTS
from tests.system import Start, wait_until

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
_LONG_AGO_S = -timedelta(days=100).total_seconds()


@pytest.fixture
def team(server: RedisServer, database_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A team on each kind of database in turn, whose chunks are small."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "100")
    monkeypatch.setenv("REVIEWMILL_TOKEN_BUDGET", "256")
    assert run("db", "upgrade").returncode == 0
    return Database(database_url)


def enqueue(run: Run, path: Path, numbers: range) -> int:
    path.write_text("id,body\n" + "".join(f"{n},wonderful or terrible number {n}\n" for n in numbers))
    command = ("score", path, "--source", "all", "--text", "body", "--id", "id", "--model", BERT, "--no-wait", "--json")
    enqueued = run(*command)
    assert enqueued.returncode == 0, enqueued
    return int(json.loads(enqueued.stdout)["job_id"])


def finish(run: Run, job_id: int) -> dict:
    return json.loads(run("jobs", "watch", job_id, "--json").stdout)


def test_a_worker_scores_while_old_results_and_a_review_go(
    run: Run, start: Start, team: Database, tmp_path: Path
) -> None:
    worker = start("worker", "--devices", "cpu")
    old = enqueue(run, tmp_path / "old.csv", range(3_000))
    assert finish(run, old)["scored"] == 3_000
    with team.write() as connection:
        connection.execute(update(Job).values(finished_at=utc_now(_LONG_AGO_S)))
        connection.execute(update(Prediction).values(scored_at=utc_now(_LONG_AGO_S)))
        connection.execute(update(Review).values(created_at=utc_now(_LONG_AGO_S)))
    # Half of what it asks for was scored long ago, and is reused.
    new = enqueue(run, tmp_path / "new.csv", range(1_500, 6_000))
    pruning = start("prune", "--older-than", "90d", "--yes", "--json")
    wait_until(lambda: _chunks_done(team, new))
    forgotten = json.loads(run("forget", "5999", "--yes", "--json").stdout)
    assert forgotten["tables"]["chunks"]["rows"] == 1
    assert pruning.wait(120) == 0
    done = finish(run, new)
    assert (done["state"], done["total"], done["reused"]) == ("done", 4_500, 1_500)
    assert done["scored"] + done["failed"] == 3_000
    with team.read() as connection:
        mine = select(Prediction.review_id).join(Review, Review.id == Prediction.review_id)
        of_new = {int(one) for one in connection.scalars(mine.with_only_columns(Review.external_id))}
        lost = connection.scalar(select(func.count()).where(Chunk.job_id == new, Chunk.state != "done"))
        attempts = connection.scalar(select(func.max(Chunk.errors)))
        job = job_status(connection, old)
    # The younger job has every result that it counts, and of the old one only those are left.
    assert of_new == set(range(1_500, 5_999))
    assert (lost, attempts) == (0, 0)
    assert (job.total, job.scored, "pruned" in job.params) == (3_000, 3_000, True)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert "Traceback" not in worker.said()
    told = json.loads(pruning.said())
    assert told["tables"]["predictions"]["rows"] == told["tables"]["reviews"]["rows"] == 1_500
    team.close()


def test_a_review_that_comes_again_is_scored_anew(run: Run, start: Start, team: Database, tmp_path: Path) -> None:
    worker = start("worker", "--devices", "cpu")
    finish(run, enqueue(run, tmp_path / "first.csv", range(10)))
    assert run("forget", "3", "--yes").returncode == 0
    again = finish(run, enqueue(run, tmp_path / "again.csv", range(10)))
    assert (again["scored"], again["reused"], again["failed"]) == (1, 9, 0)
    with team.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Prediction)) == 10
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    team.close()


def _chunks_done(database: Database, job_id: int) -> bool:
    with database.read() as connection:
        return bool(connection.scalar(select(func.count()).where(Chunk.job_id == job_id, Chunk.state == "done")))
