"""One post: what is signed, and what comes of receivers that do not answer as they should."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from db.jobs import JobStatus
from db.notifications import Delivery
from tests.receiver import SECRET, Receiver, receiver
from worker.post import post
from worker.signature import signature

__all__ = ["receiver"]

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def delivery(url: str) -> Delivery:
    counts = {"total": 3, "scored": 3, "reused": 0, "failed": 0}
    job = JobStatus(7, "score", "done", 1, "stars@1", {}, "normal", *counts.values(), 1, None, NOON, NOON, NOON)
    return Delivery(1, 1, url, "d" * 32, job, {"job_id": 7, "state": "done", **counts, "model": "Stimme für müde"})


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_the_signature_is_that_of_the_scheme() -> None:
    # As `printf '1492774577.{"a":1}' | openssl dgst -sha256 -hmac whsec` says.
    digest = "833de4eb1e4cb1c0aedd96089e1c486a959abef9390f2d333229b8a57824bbb0"
    assert signature("whsec", b'{"a":1}', 1492774577) == f"t=1492774577,v1={digest}"


def test_what_is_said_is_the_job_s_end(receiver: Receiver) -> None:
    answer = post(delivery(receiver.url), SECRET)
    assert (answer.is_taken, answer.status_code) == (True, 200)
    counts = {"total": 3, "scored": 3, "reused": 0, "failed": 0}
    assert receiver.told == [
        {
            "event": "job.done",
            "kind": "score",
            "job_id": 7,
            "state": "done",
            **counts,
            "model": "Stimme für müde",
            "finished_at": "2026-11-24T12:00:00+00:00",
        }
    ]
    assert receiver.delivery_ids == ["d" * 32]


def test_a_server_that_says_nothing_is_given_up(silent: str) -> None:
    began = time.monotonic()
    answer = post(delivery(silent), SECRET, timeout_s=0.3)
    assert time.monotonic() - began < 5
    assert (answer.is_taken, answer.is_final, answer.status_code) == (False, False, None)
    assert answer.reason.startswith("ReadTimeout")


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [307]
    answer = post(delivery(receiver.url), SECRET)
    assert (answer.is_taken, answer.is_final, answer.status_code) == (False, False, 307)
    assert len(receiver.told) == 1


def test_an_answer_without_an_end_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_for_ever() -> None:
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while connection.recv(65536):
                pass

        threading.Thread(target=answer_for_ever, daemon=True).start()
        assert post(delivery(f"http://127.0.0.1:{server.getsockname()[1]}/"), SECRET, timeout_s=5).is_taken
