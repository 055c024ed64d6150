"""A message that was sent and lost with Redis, and the beat that sends it again."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import redis

from broker.app import PRIORITIES, TASKS, make_app
from broker.doorbell import ring
from broker.redis_server import RedisServer
from db.jobs import NewJob, create_job
from db.registry import register_model
from db.reviews import store_reviews
from db.rings import Ring
from db.schema import open_database
from tests.samples import SomeReview, facts
from tests.system import Start, home, leave_nothing, start, wait_until

__all__ = ["home", "leave_nothing", "start"]

Run = Callable[..., CompletedProcess[str]]
#: The list that kombu keeps for normal priority of the queue `score`.
QUEUE = f"reviewmill:score\x06\x16{PRIORITIES['normal']}"


@pytest.fixture
def client(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    """A plain client of the Redis that the beat uses."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_SWEEP_S", "0.2")
    return redis.Redis(unix_socket_path=os.fspath(server.socket))


@pytest.fixture
def chunk_id(server: RedisServer) -> int:
    """A pending chunk that was rung as a producer does."""
    with open_database().write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview("r1", "a text")])
        _, (chunk_id,) = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
    assert ring(make_app(f"redis+socket://{server.socket}"), [Ring(chunk_id, "score", "normal")]) == 1
    return chunk_id


def test_a_wiped_redis_gets_the_ring_back(client: redis.Redis, chunk_id: int, start: Start) -> None:
    (sent,) = client.lrange(QUEUE, 0, -1)
    client.flushall()
    beat = start("beat")
    wait_until(lambda: client.llen(QUEUE), 30)
    (sent_again,) = client.lrange(QUEUE, 0, -1)
    first, second = json.loads(sent), json.loads(sent_again)
    assert second["headers"]["task"] == TASKS["score"]
    assert second["headers"]["argsrepr"] == f"[{chunk_id}]"
    assert second["body"] == first["body"]
    assert second["headers"]["id"] != first["headers"]["id"]
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(10) == 0
    assert "Traceback" not in beat.said()


@pytest.mark.usefixtures("client")
def test_without_a_database_that_answers_the_beat_is_refused_in_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql://me:secret@127.0.0.1:9/reviews")
    refused = run("beat")
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("Error: the database postgresql")
    assert "cannot be used" in line
    assert "secret" not in line
