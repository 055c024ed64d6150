"""Ctrl-C at a worker's terminal, while it works and while it waits."""

import os
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.redis_server import RedisServer
from db.checkpoint import read_checkpoint_facts
from db.database import Database
from db.jobs import NewJob, create_job
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from db.tables import Chunk
from tests.samples import CHECKPOINTS, SomeReview
from tests.system import Start, home, leave_nothing, nothing_runs, start, wait_until

__all__ = ["home", "leave_nothing", "start"]

BERT = CHECKPOINTS / "bert"


@pytest.fixture
def team_redis(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that workers use from now on."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_SWEEP_S", "0.3")


@pytest.fixture
def database(team_redis: None, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A job of one long chunk that nobody rang for; with the small token budget each review is a batch."""
    monkeypatch.setenv("REVIEWMILL_TOKEN_BUDGET", "64")
    monkeypatch.setenv("REVIEWMILL_LEASE_S", "2")
    opened = open_database()
    words = "the screen is wonderful and the price terrible " * 8
    reviews = [SomeReview(f"r{number}", f"{number} {words}") for number in range(5_000)]
    with opened.write() as connection:
        model = register_model(connection, "bert", BERT, read_checkpoint_facts(BERT), kind="directory")
        ids = store_reviews(connection, "f.csv", reviews)
        create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
    return opened


def chunk(database: Database) -> tuple:
    """The chunk's state, who holds it, how many of its reviews are inferred, its attempts and its deaths."""
    with database.read() as connection:
        columns = (Chunk.state, Chunk.lease_owner, Chunk.scored, Chunk.attempt, Chunk.deaths)
        return tuple(connection.execute(select(*columns)).one())


def test_ctrl_c_in_mid_chunk_gives_it_back_and_leaves_no_process(database: Database, start: Start, home: Path) -> None:
    worker = start("worker", "--devices", "cpu")
    wait_until(lambda: chunk(database)[2], 60)
    began = time.monotonic()
    os.killpg(worker.pid, signal.SIGINT)
    # 0, not the 130 of a command that is broken off: a worker ends by being told to.
    assert worker.wait(20) == 0
    assert time.monotonic() - began < 10
    assert nothing_runs(home)
    assert chunk(database) == ("pending", None, 0, 1, 0)
    assert "chunk_given_back" in worker.said()
    assert "Traceback" not in worker.said()


@pytest.mark.usefixtures("team_redis")
def test_ctrl_c_ends_a_worker_and_its_processes(start: Start, home: Path) -> None:
    worker = start("worker", "--devices", "cpu")
    wait_until(lambda: "worker_ready" in worker.said())
    began = time.monotonic()
    os.killpg(worker.pid, signal.SIGINT)
    assert worker.wait(20) == 0
    assert time.monotonic() - began < 10
    assert nothing_runs(home)
