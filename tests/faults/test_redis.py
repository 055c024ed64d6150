"""Redis wiped, away, restarted empty, or full of what is not ours: it is a doorbell, and SQL is the truth."""

import json
import pickle
import time

import pytest

from broker.app import PRIORITIES
from db.tables import Prediction
from tests.faults.conftest import Survived
from tests.faults.team import ON_POSTGRESQL, ON_SQLITE, Team, stop
from tests.system import wait_until

#: The list that kombu keeps for normal priority of the queue `score`.
QUEUE = f"reviewmill:score\x06\x16{PRIORITIES['normal']}"

_PROPERTIES = {"delivery_mode": 2, "delivery_info": {"exchange": "score", "routing_key": "score"}, "delivery_tag": "t"}


def _message(body: str, content_type: str = "application/json", **headers: object) -> bytes:
    """A message as kombu writes it, with any body and headers."""
    envelope = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": content_type,
        "headers": {"lang": "py", "id": "1", "root_id": "1", "parent_id": None, "group": None, **headers},
        "properties": {**_PROPERTIES, "correlation_id": "1", "body_encoding": None, "priority": 3},
    }
    return json.dumps(envelope).encode()


GARBAGE = {
    "not JSON": b"\xff\x00 not json",
    "a JSON list": b"[1, 2, 3]",
    "a JSON object of nothing": b"{}",
    "a pickle": pickle.dumps({"task": "reviewmill.score_chunk"}),
    "a pickle in a message": _message("gASVAA==", "application/x-python-serialize", task="reviewmill.score_chunk"),
    "an unknown task": _message("[[1], {}, {}]", task="os.system"),
    "wrong arguments": _message('[["rm -rf", 2], {"now": true}, {}]', task="reviewmill.score_chunk"),
    "a chunk that is not there": _message("[[987654321], {}, {}]", task="reviewmill.score_chunk"),
    "a number too large": _message(f"[[{2**70}], {{}}, {{}}]", task="reviewmill.score_chunk"),
}


@ON_SQLITE
def test_garbage_on_the_queue(team: Team, survived: Survived) -> None:
    worker = team.worker("--queues", "score")
    wait_until(lambda: "worker_ready" in worker.said())
    deaths = {}
    for kind, entry in GARBAGE.items():
        before = worker.said().count("worker_died")
        ready = worker.said().count("worker_ready")
        team.redis().lpush(QUEUE, entry)
        wait_until(lambda: not team.redis().llen(QUEUE))
        time.sleep(1.0)  # for a death to be noticed
        deaths[kind] = worker.said().count("worker_died") - before
        assert deaths[kind] <= 1, kind
        wait_until(lambda: worker.said().count("worker_ready") == ready + deaths[kind])  # noqa: B023
    team.enqueue(team.write_reviews(50))
    assert team.wait_for_end().scored == 50
    team.check_books()
    stop(worker)
    survived(
        f"garbage on the queue: {', '.join(GARBAGE)}",
        f"a restart for each of {sum(deaths.values())} of them, none for the others; the next job was done",
    )


@ON_SQLITE
def test_flushall_in_mid_job(team: Team, survived: Survived) -> None:
    worker = team.worker()
    team.enqueue(team.write_long_reviews(2_000))
    team.wait_until_mid_chunk()
    team.redis().flushall()
    wiped = time.monotonic()
    claimed = sum(team.attempts())
    wait_until(lambda: sum(team.attempts()) > claimed, 30)
    resumed_s = time.monotonic() - wiped
    team.redis().flushall()
    job = team.wait_for_end()
    assert (job.state, job.scored, job.failed) == ("done", 2_000, 0)
    assert team.attempts() == [1] * 4
    team.check_books()
    stop(worker)
    survived("FLUSHALL in mid-job, twice", f"the next chunk was claimed {resumed_s:.1f} s later; nothing was lost")


@ON_POSTGRESQL
@pytest.mark.parametrize("away_s", [3, pytest.param(30, marks=pytest.mark.long)])
def test_redis_stopped_and_restarted_empty(team: Team, survived: Survived, away_s: int) -> None:
    worker = team.worker()
    team.enqueue(team.write_long_reviews(2_000))
    team.wait_until_mid_chunk()
    team.server.stop()
    # A job enqueued now must not be lost either; nobody can be told of it.
    refused = team.command("score", team.write_reviews(5), "--text", "body", "--model", "bert", "--no-wait")
    assert refused.returncode == 2
    assert "does not answer" in refused.stderr
    time.sleep(away_s)
    team.server.start()
    back = time.monotonic()
    job = team.wait_for_end(timeout_s=180)
    assert (job.state, job.scored) == ("done", 2_000)
    team.check_books()
    assert "worker_died" not in stop(worker)
    survived(
        f"Redis stopped for {away_s} s and restarted, empty",
        f"the job was done {time.monotonic() - back:.0f} s after; no worker died of it",
    )


@ON_POSTGRESQL
def test_the_same_ring_ten_times_and_two_workers(team: Team, survived: Survived) -> None:
    workers = [team.worker(), team.worker()]
    wait_until(lambda: all("worker_ready" in worker.said() for worker in workers))
    team.enqueue(team.write_long_reviews(500))
    (chunk_id,) = team.chunk_ids()
    team.ring(chunk_id, times=10)
    job = team.wait_for_end()
    wait_until(lambda: not team.redis().llen(QUEUE))
    assert (job.state, job.scored) == ("done", 500)
    assert team.attempts() == [1]
    assert team.count(Prediction) == 500
    team.check_books()
    logs = [stop(worker) for worker in workers]
    assert sum(log.count("chunk_claimed") for log in logs) == 1
    survived("one chunk, rung eleven times, two workers", "one claim, one attempt, 500 predictions")
