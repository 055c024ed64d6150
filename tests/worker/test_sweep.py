"""The sweep rings what was lost, over a real Redis, and never dies of what it meets."""

import os
import threading
from collections.abc import Callable, Iterator

import pytest
import redis
from sqlalchemy import update

from broker.app import make_app
from broker.doorbell import is_dry
from broker.redis_server import RedisServer
from db.clock import utc_now
from db.database import Database
from db.tables import Chunk
from tests.samples import SomeReview
from worker.sweep import Sweeper


@pytest.fixture
def sweeper(database: Database, server: RedisServer) -> Sweeper:
    return Sweeper(database, make_app(f"redis+socket://{server.socket}"), ["score", "finetune"], 0.05)


@pytest.fixture
def lost_chunk(database: Database, make_chunk: Callable[..., int]) -> int:
    """A chunk that was committed a minute ago and never rung, as by a producer killed in between."""
    chunk_id = make_chunk(None, [SomeReview("1", "good")])
    with database.write() as connection:
        connection.execute(update(Chunk).values(rung_at=utc_now(-60)))
    return chunk_id


@pytest.fixture
def running(sweeper: Sweeper) -> Iterator[None]:
    stopping = threading.Event()
    thread = sweeper.start(stopping)
    yield
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()


def wait_until(true: Callable[[], object], timeout_s: float = 15.0) -> None:
    done = threading.Event()
    for _ in range(int(timeout_s / 0.05)):
        if true():
            return
        done.wait(0.05)
    raise AssertionError("it never came")


@pytest.mark.usefixtures("lost_chunk")
def test_a_lost_message_is_rung_once(sweeper: Sweeper) -> None:
    assert sweeper.sweep("finetune") == 0
    assert sweeper.sweep("score") == 1
    assert not is_dry(sweeper.app, "score")
    assert sweeper.sweep("score") == 0


@pytest.mark.usefixtures("lost_chunk")
def test_two_sweeps_at_once_ring_once(sweeper: Sweeper, server: RedisServer) -> None:
    together = threading.Barrier(4)
    rung: list[int] = []

    def sweep() -> None:
        together.wait()
        rung.append(sweeper.sweep("score"))

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(rung) == 1
    client = redis.Redis(unix_socket_path=os.fspath(server.socket))
    assert sum(client.llen(key) for key in client.keys("*") if client.type(key) == b"list") == 1


@pytest.mark.usefixtures("lost_chunk", "running")
def test_it_outlives_a_redis_that_is_away(sweeper: Sweeper, server: RedisServer, database: Database) -> None:
    wait_until(lambda: not is_dry(sweeper.app, "score"))
    server.stop()
    threading.Event().wait(0.3)  # a few sweeps that find nothing there
    server.start()
    with database.write() as connection:
        connection.execute(update(Chunk).values(rung_at=utc_now(-60)))
    wait_until(lambda: not is_dry(sweeper.app, "score"))
