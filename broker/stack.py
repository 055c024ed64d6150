"""The stack that a command or a client needs: the Redis of the settings, or the embedded one, started and shared.

The embedded stack belongs to a process of its own (cli.stack_owner). Every process that uses it holds
a shared lock on one file, which the kernel lets go however the process ends. The owner stops the stack
when it can lock that file alone: nothing is left running, and nobody's stack is stopped under them.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple

from celery import Celery

from broker.app import make_app
from broker.errors import StackError
from broker.redis_server import RedisServer, check_redis, find_redis_server
from broker.settings import BrokerSettings

_START_TIMEOUT_S = 60
_LOOK_S = 0.05
#: An owner that took over from one that was killed says within an instant which database is its own.
_OWNER_SAYS_S = 2
#: Settings from which the database's URL may have come (db.settings).
_DATABASE_FILES = ("REVIEWMILL_DATABASE_URL_FILE", "REVIEWMILL_DATABASE_PASSWORD_FILE")


class StackDatabase(NamedTuple):
    """The database that a stack works for: its URL, and its place, which is the same however the URL is written."""

    url: str
    place: str


@contextmanager
def running_stack(settings: BrokerSettings, database: StackDatabase, on_start: Callable[[], None]) -> Iterator[Celery]:
    """A Celery app with a Redis behind it and workers beside it. Raises RedisUnreachable and BrokerError.

    Where none runs yet, an embedded stack is started for that database, and `on_start` is called. One that works for
    another database would never come to the job: it is a StackError.
    """
    if not settings.is_embedded:
        check_redis(settings.url)
        yield make_app(settings.url)
        return
    find_redis_server()
    make_run_dir(settings)
    with users_file(settings).open("a") as users:
        # Waits for a stack that is just stopping to be gone.
        fcntl.flock(users, fcntl.LOCK_SH)
        _ensure_running(settings, database.url, on_start)
        _check_database(settings, database.place)
        yield make_app(settings.url)


def running_app(settings: BrokerSettings) -> Celery | None:
    """A Celery app if its Redis answers now; None while no embedded stack runs. Starts nothing."""
    if not settings.is_embedded:
        check_redis(settings.url)
        return make_app(settings.url)
    return make_app(settings.url) if _server(settings).answers() else None


def make_run_dir(settings: BrokerSettings) -> None:
    """Make the folder of locks and sockets, for this user only."""
    try:
        settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StackError(
            f"the folder {settings.run_dir} cannot be made ({error.strerror}); set REVIEWMILL_HOME"
        ) from error


def users_file(settings: BrokerSettings) -> Path:
    """Locked, shared, by every process that uses the stack."""
    return settings.run_dir / "users.lock"


def owner_file(settings: BrokerSettings) -> Path:
    """Locked, alone, by the process that owns the stack."""
    return settings.run_dir / "owner.lock"


def database_file(settings: BrokerSettings) -> Path:
    """Holds the place of the database that the stack works for, written by its owner before anything is started."""
    return settings.run_dir / "database"


def is_locked(file: TextIOWrapper) -> bool:
    """Whether another process holds the lock; if not, this one does now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _server(settings: BrokerSettings) -> RedisServer:
    return RedisServer(settings.socket, settings.log_file)


def _ensure_running(settings: BrokerSettings, database_url: str, on_start: Callable[[], None]) -> None:
    server = _server(settings)
    deadline = time.monotonic() + _START_TIMEOUT_S
    owner: subprocess.Popen[bytes] | None = None
    while not (_is_owned(settings) and server.answers()):
        if owner is None and not _is_owned(settings):
            owner = _start_owner(settings, database_url)
            on_start()
        if time.monotonic() > deadline or (owner is not None and owner.poll()):
            raise StackError(f"the embedded stack did not start; see {settings.log_file}")
        time.sleep(_LOOK_S)


def _check_database(settings: BrokerSettings, place: str) -> None:
    deadline = time.monotonic() + _OWNER_SAYS_S
    while (theirs := _database_of_stack(settings)) not in (place, None):
        if time.monotonic() > deadline:
            raise StackError(
                f"the embedded stack that runs in {settings.home} works for the database {theirs}, not for {place}; "
                "end it, or set REVIEWMILL_HOME for another"
            )
        time.sleep(_LOOK_S)


def _database_of_stack(settings: BrokerSettings) -> str | None:
    """None for the stack of an earlier version, which does not tell."""
    try:
        return database_file(settings).read_text()
    except FileNotFoundError:
        return None


def _is_owned(settings: BrokerSettings) -> bool:
    with owner_file(settings).open("a") as file:
        return is_locked(file)


def _start_owner(settings: BrokerSettings, database_url: str) -> subprocess.Popen[bytes]:
    # It is told the whole URL, so no file has to add to it.
    inherited = {name: value for name, value in os.environ.items() if name not in _DATABASE_FILES}
    settings.log_file.parent.mkdir(parents=True, exist_ok=True)
    with settings.log_file.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "cli.stack_owner"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A Ctrl-C in the terminal is for the command, not for a stack that others may share.
            start_new_session=True,
            env={**inherited, "REVIEWMILL_DATABASE_URL": database_url, "PYTHONUNBUFFERED": "1"},
        )
