"""Ten reviews behind a large job, on a real worker and a real Redis: they do not wait for its queue."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import func, select

from broker.redis_server import RedisServer
from db.database import Database
from db.tables import Chunk, Job, Prediction
from tests.faults.slow import make_slow_checkpoint
from tests.system import Start, wait_until

Run = Callable[..., CompletedProcess[str]]
_CHUNKS, _CHUNK_SIZE = 60, 100


@pytest.fixture
def team(server: RedisServer, database_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A team on each kind of database in turn, whose chunks and batches are small."""
    for name, value in {
        "REDIS_URL": f"redis+socket://{server.socket}",
        "DATABASE_URL": database_url,
        "CHUNK_SIZE": str(_CHUNK_SIZE),
        "TOKEN_BUDGET": "64",
        "PRECISION": "float32",
    }.items():
        monkeypatch.setenv(f"REVIEWMILL_{name}", value)
    assert run("db", "upgrade").returncode == 0
    return Database(database_url)


def enqueue(run: Run, path: Path, reviews: int, model: Path) -> int:
    text = "the screen is wonderful and the price terrible " * 8
    path.write_text("body\n" + "".join(f"{path.stem} {number} {text}\n" for number in range(reviews)))
    enqueued = run("score", path, "--text", "body", "--model", model, "--no-wait", "--json")
    assert enqueued.returncode == 0, enqueued
    return int(json.loads(enqueued.stdout)["job_id"])


def chunks_in(database: Database, job_id: int, state: str) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).where(Chunk.job_id == job_id, Chunk.state == state)) or 0


def scored_during(database: Database, job_id: int, other_id: int) -> int:
    """Reviews of a job whose predictions were written between the enqueueing of another and its end."""
    with database.read() as connection:
        began, ended = connection.execute(select(Job.created_at, Job.finished_at).where(Job.id == other_id)).one()
        within = (Prediction.scored_at >= began, Prediction.scored_at <= ended)
        return connection.scalar(select(func.count()).where(Prediction.job_id == job_id, *within)) or 0


def test_ten_reviews_behind_a_large_job_return_before_it(
    run: Run, start: Start, team: Database, tmp_path: Path
) -> None:
    model = make_slow_checkpoint(tmp_path / "slow")
    large = enqueue(run, tmp_path / "large.csv", _CHUNKS * _CHUNK_SIZE, model)
    worker = start("worker", "--devices", "cpu")
    wait_until(lambda: chunks_in(team, large, "done"))
    small = enqueue(run, tmp_path / "small.csv", 10, model)
    finished = json.loads(run("jobs", "watch", small, "--json").stdout)
    waiting = chunks_in(team, large, "pending")
    run("jobs", "cancel", large)
    assert (finished["state"], finished["scored"]) == ("done", 10)
    # No more than the chunk that was under work when they came, and the one that was claimed ahead of it.
    assert scored_during(team, large, small) <= 2 * _CHUNK_SIZE
    assert waiting > _CHUNKS / 2
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert "Traceback" not in worker.said()
    team.close()


def test_ten_reviews_do_not_wait_for_the_chunk_under_work(
    run: Run, start: Start, team: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half a minute of work on a quick machine, a few milliseconds at a time.
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "5000")
    model = make_slow_checkpoint(tmp_path / "slow")
    large = enqueue(run, tmp_path / "large.csv", 10_000, model)
    worker = start("worker", "--devices", "cpu")
    wait_until(lambda: reported(team, large))
    small = enqueue(run, tmp_path / "small.csv", 10, model)
    finished = json.loads(run("jobs", "watch", small, "--json").stdout)
    states = {state: chunks_in(team, large, state) for state in ("pending", "leased", "done")}
    run("jobs", "cancel", large)
    assert (finished["state"], finished["scored"]) == ("done", 10)
    # Both of the worker's tasks hold a chunk of the large job, and neither has ended one.
    assert states == {"pending": 0, "leased": 2, "done": 0}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert "Traceback" not in worker.said()
    team.close()


def reported(database: Database, job_id: int) -> int:
    """Reviews of the job that were inferred so far."""
    with database.read() as connection:
        return connection.scalar(select(func.sum(Chunk.scored)).where(Chunk.job_id == job_id)) or 0
