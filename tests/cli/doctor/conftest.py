"""The doctor, asked in this process, and servers that something is wrong with."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from broker.redis_server import find_redis_server
from cli.checks.examine import examine
from cli.checks.finding import Finding, Status
from cli.checks.patient import Scope, admit

Examine = Callable[..., list[Finding]]


@pytest.fixture
def findings() -> Examine:
    """All that the doctor finds now, of one check or of all."""

    def look(check: str | None = None, **scope: object) -> list[Finding]:
        patient = admit(Scope(**scope), lambda _words: None)  # type: ignore[arg-type]
        found = list(examine(patient))
        if patient.database is not None:
            patient.database.close()
        return [one for one in found if check in (None, one.check)]

    return look


@pytest.fixture
def troubles(findings: Examine) -> Examine:
    """The same without what is well."""

    def look(check: str | None = None, **scope: object) -> list[Finding]:
        return [one for one in findings(check, **scope) if one.status is not Status.OK]

    return look


@pytest.fixture
def redis_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def team_redis(redis_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A client of a Redis as a team's should be: on a port, with a password, an append-only file, and no eviction."""
    folder = tmp_path / "redis"
    folder.mkdir()
    password = ["--requirepass", "planted-pw", "--appendonly", "yes", "--dir", str(folder)]
    with (tmp_path / "redis.log").open("w") as log:
        process = subprocess.Popen(
            [str(find_redis_server()), "--port", str(redis_port), "--bind", "127.0.0.1", *password], stdout=log
        )
    client = redis.Redis(port=redis_port, password="planted-pw", decode_responses=True)
    _wait_for(client)
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis://:planted-pw@127.0.0.1:{redis_port}/0")
    yield client
    client.close()
    # Told to end, one that cannot write its snapshot would go on.
    process.kill()
    process.wait()


def _wait_for(client: redis.Redis) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.ConnectionError, redis.BusyLoadingError):
            if client.ping():
                return
        time.sleep(0.02)
    raise AssertionError("the Redis did not start")
