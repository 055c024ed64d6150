"""`reviewmill beat`: it rings again, it stops, and what it needs it says in a line."""

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
from db.jobs import NewJob, RejectedRow, create_job
from db.registry import register_model
from db.reviews import store_reviews
from db.rings import Ring
from db.schema import open_database
from tests.receiver import SECRET, Receiver, receiver
from tests.samples import SomeReview, facts
from tests.system import Start, home, leave_nothing, start, wait_until

__all__ = ["home", "leave_nothing", "receiver", "start"]

Run = Callable[..., CompletedProcess[str]]
#: The list that kombu keeps for normal priority of the queue `score`.
QUEUE = f"reviewmill:score\x06\x16{PRIORITIES['normal']}"


@pytest.fixture
def client(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    """A plain client of the team's Redis, which commands use from now on."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_SWEEP_S", "0.3")
    return redis.Redis(unix_socket_path=os.fspath(server.socket))


@pytest.fixture
def chunk_id() -> int:
    """A pending chunk that nobody has rung for."""
    with open_database().write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview("r1", "a text")])
        _, (chunk_id,) = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
    return chunk_id


@pytest.mark.usefixtures("chunk_id")
def test_a_beat_rings_for_a_lost_message(client: redis.Redis, start: Start) -> None:
    # Nobody rang: the producer died after its commit.
    beat = start("beat")
    wait_until(lambda: "swept" in beat.said(), 20)
    assert client.keys("reviewmill:score*")
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(10) == 0


def test_a_wiped_redis_gets_the_ring_back(
    client: redis.Redis, server: RedisServer, chunk_id: int, start: Start
) -> None:
    assert ring(make_app(f"redis+socket://{server.socket}"), [Ring(chunk_id, "score", "normal")]) == 1
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
def test_a_beat_tells_of_a_job_s_end(receiver: Receiver, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_NOTIFY_SECRET", SECRET)
    with open_database().write() as connection:
        rejected = [RejectedRow(2, None, "no text")]
        job_id, _ = create_job(connection, NewJob("score", {}, [], rejected=rejected, notify=receiver.url))
    beat = start("beat")
    wait_until(lambda: "notified" in beat.said(), 20)
    assert [(told["event"], told["job_id"], told["failed"]) for told in receiver.told] == [("job.done", job_id, 1)]
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(10) == 0
    assert SECRET not in beat.said()


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


@pytest.mark.parametrize("command", ["beat", "worker"])
def test_without_a_redis_that_answers_it_is_refused_in_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert "REVIEWMILL_REDIS_URL is not set" in _only_line(run(command))
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", "redis://127.0.0.1:1/0")
    assert "does not answer" in _only_line(run(command))


def _only_line(result: CompletedProcess[str]) -> str:
    assert result.returncode == 2, result
    (line,) = result.stderr.strip().splitlines()
    return line
