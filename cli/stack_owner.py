"""The process that owns the embedded stack: `python -m cli.stack_owner`.

It starts Redis and `reviewmill worker`, replaces whichever dies, and stops both when nobody uses them.
"""

import signal
import subprocess
import sys
import time
from io import TextIOWrapper
from types import FrameType

import structlog

from broker.child import start_child
from broker.redis_server import RedisServer
from broker.settings import BrokerSettings
from broker.stack import database_file, is_locked, make_run_dir, owner_file, users_file
from db.database import place_of
from db.settings import DatabaseSettings
from worker.logs import log_to_stderr

_LOOK_S = 0.3
#: A command that only looks whether a stack runs holds the owner's lock for an instant.
_LOCK_TRIES = 20
_WORKER_STOP_TIMEOUT_S = 20

log = structlog.get_logger()


def main() -> None:
    """Own the stack until nobody uses it, or SIGTERM."""
    log_to_stderr()
    settings = BrokerSettings()
    make_run_dir(settings)
    stopping: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, note)
    with owner_file(settings).open("a") as owner, users_file(settings).open("a") as users:
        if not _take(owner):
            return
        database_file(settings).write_text(place_of(DatabaseSettings().url))
        stack = _Stack(settings)
        log.info("stack starts", action="stack_starts", home=str(settings.home))
        try:
            # Holding the users' lock alone from here on makes newcomers wait until this stack is gone.
            while not stopping and is_locked(users):
                stack.keep_alive()
                time.sleep(_LOOK_S)
        finally:
            stack.stop()
            log.info("stack stopped", action="stack_stopped")


def _take(owner: TextIOWrapper) -> bool:
    for _ in range(_LOCK_TRIES):
        if not is_locked(owner):
            return True
        time.sleep(_LOOK_S / 10)
    return False


class _Stack:
    """Redis and the worker beside it."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._redis = RedisServer(settings.socket, settings.log_file)
        self._worker: subprocess.Popen[bytes] | None = None

    def keep_alive(self) -> None:
        """Start what does not run."""
        if not self._redis.is_running():
            self._redis.start()
        if self._worker is None or self._worker.poll() is not None:
            command = [sys.executable, "-m", "cli.main", "worker"]
            self._worker = start_child(command, self._settings.log_file, {"REVIEWMILL_REDIS_URL": self._settings.url})

    def stop(self) -> None:
        """Stop the worker, which gives its chunk back, then Redis."""
        if self._worker is not None:
            self._worker.terminate()
            try:
                self._worker.wait(_WORKER_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._worker.terminate()
                self._worker.wait()
        self._redis.stop()
        self._settings.socket.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
