"""`reviewmill beat` and `reviewmill worker` from start to stop."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import redis

from broker.redis_server import RedisServer
from db.jobs import NewJob, create_job
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from tests.samples import SomeReview, facts
from tests.system import Start, home, leave_nothing, nothing_runs, start, wait_until

__all__ = ["home", "leave_nothing", "start"]

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def client(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    """A plain client of the team's Redis, which commands use from now on."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_SWEEP_S", "0.3")
    return redis.Redis(unix_socket_path=os.fspath(server.socket))


def test_a_beat_rings_for_a_lost_message(client: redis.Redis, start: Start) -> None:
    with open_database().write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview("r1", "a text")])
        # Nobody rings: the producer died after its commit.
        create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
    beat = start("beat")
    wait_until(lambda: "swept" in beat.said(), 20)
    assert client.keys("reviewmill:score*")
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(10) == 0


@pytest.mark.parametrize("command", ["beat", "worker"])
def test_without_a_redis_that_answers_it_is_refused_in_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert "REVIEWMILL_REDIS_URL is not set" in _only_line(run(command))
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://127.0.0.1:1/0")
    assert "does not answer" in _only_line(run(command))


@pytest.mark.usefixtures("client")
def test_ctrl_c_ends_a_worker_and_its_processes(start: Start, home: Path) -> None:
    worker = start("worker", "--devices", "cpu")
    wait_until(lambda: "worker_ready" in worker.said())
    began = time.monotonic()
    os.killpg(worker.pid, signal.SIGINT)
    assert worker.wait(20) == 0
    assert time.monotonic() - began < 10
    assert nothing_runs(home)


def _only_line(result: CompletedProcess[str]) -> str:
    assert result.returncode == 2, result
    (line,) = result.stderr.strip().splitlines()
    return line
