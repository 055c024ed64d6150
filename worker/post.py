"""One attempt to tell a URL of a job's end."""

import json
import time
from dataclasses import dataclass

import httpx2

from db.notifications import Delivery
from worker.errors import reason_of
from worker.signature import signature

#: Seconds for the connection, and for each read and write.
TIMEOUT_S = 10.0
#: The receiver says that it will never want to hear of this again.
_GONE = 410


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt; without a status code nobody answered, and the reason says why."""

    status_code: int | None
    reason: str

    @property
    def is_taken(self) -> bool:
        """Whether the receiver took it."""
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def is_final(self) -> bool:
        """Whether it is of no use to try again."""
        return self.status_code == _GONE


def post(delivery: Delivery, secret: str, timeout_s: float = TIMEOUT_S) -> Answer:
    """Post the job's end, signed. What goes wrong is part of the answer, and never raised.

    Redirects are not followed: they would let whoever runs the receiver have a worker post to places that only the
    worker can reach. What the receiver says beside its status code is not read.
    """
    body = body_of(delivery)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "reviewmill",
        "X-Reviewmill-Delivery": delivery.delivery_id,
        "X-Reviewmill-Signature": signature(secret, body, int(time.time())),
    }
    try:
        with (
            httpx2.Client(timeout=timeout_s, follow_redirects=False) as client,
            client.stream("POST", delivery.url, content=body, headers=headers) as response,
        ):
            return Answer(response.status_code, _said(response.status_code))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return Answer(None, reason_of(error))


def body_of(delivery: Delivery) -> bytes:
    """The JSON that is posted: the same in every attempt."""
    job = delivery.job
    assert job.finished_at is not None, "only jobs that are over are told of"
    document = {
        "event": f"job.{job.state}",
        "kind": job.kind,
        **delivery.outcome,
        "finished_at": job.finished_at.isoformat(),
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _said(status_code: int) -> str:
    redirects = "; redirects are not followed" if 300 <= status_code < 400 else ""
    return f"answered {status_code}{redirects}"
