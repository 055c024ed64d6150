"""A real HTTP server that is told of jobs' ends, and believes nothing that is not signed."""

import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

SECRET = "a secret of ours"


@dataclass
class Receiver:
    """Answers with each of `answers` in turn, the last again and again; keeps what it was told."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    told: list[dict[str, Any]] = field(default_factory=list)
    delivery_ids: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    before_answering: Callable[[], None] = lambda: None

    def take(self, request: BaseHTTPRequestHandler) -> int:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        check(request.headers["X-Reviewmill-Signature"], body)
        assert request.headers["Content-Type"] == "application/json"
        self.told.append(json.loads(body))
        self.delivery_ids.append(request.headers["X-Reviewmill-Delivery"])
        self.authorizations.append(request.headers["Authorization"])
        self.before_answering()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def check(header: str, body: bytes) -> None:
    """Whether the signature holds, worked out without any code of the product."""
    said = dict(part.split("=", 1) for part in header.split(","))
    assert set(said) == {"t", "v1"}
    assert abs(time.time() - int(said["t"])) < 60
    expected = hmac.digest(SECRET.encode(), said["t"].encode() + b"." + body, "sha256")
    assert bytes.fromhex(said["v1"]) == expected


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on the loopback interface."""
    known = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(known.take(self))
            self.send_header("Location", known.url)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield known
    server.shutdown()
    server.server_close()
    thread.join(10)
