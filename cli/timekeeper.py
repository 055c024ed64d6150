"""What keeps time: schedules fire when they are due, and each run is read by a process of its own."""

import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from types import FrameType

import structlog

from broker.child import start_child
from db.database import Database
from db.errors import LeaseLost
from db.schedule_runs import HeldRun, can_take_run, fail_run, take_run
from producer.schedules import fire_due
from worker.owners import this_owner
from worker.settings import WorkerSettings

#: Cron tells minutes; a second is late by little, and asks little of the database.
_LOOK_S = 1.0
_LONGEST_WAIT_S = 60.0
#: Runs that are read at once: each may fill a core and some memory.
_MOST_READERS = 4
_STOP_TIMEOUT_S = 20.0
#: Lease of a run whose process is just starting, which may take seconds; it renews it from then on.
_START_LEASE_S = 30.0

log = structlog.get_logger()


@dataclass(slots=True)
class Timekeeper:
    """Fires schedules and has their runs read. Any number may do so at once.

    Its processes get the Redis at `redis_url`, or without one that of the settings. A run whose process was not heard
    of again `max_deaths` times fails.
    """

    database: Database
    redis_url: str | None
    lease_s: float
    max_deaths: int
    _readers: list[subprocess.Popen[bytes]] = field(default_factory=list, init=False)

    def run(self, stopping: threading.Event) -> None:
        """Keep time until `stopping` is set, then stop what reads.

        To be called in the main thread: children are told of their parent's end when the thread ends that made them.
        """
        wait_s = _LOOK_S
        try:
            while not stopping.is_set():
                wait_s = _LOOK_S if self._look_safely() else min(2 * wait_s, _LONGEST_WAIT_S)
                stopping.wait(wait_s)
        finally:
            self._stop()

    def _look_safely(self) -> bool:
        try:
            fire_due(self.database)
            self._read_waiting()
        except Exception as error:
            # Whatever it is, the next look must come: without it no schedule runs.
            reason = f"{type(error).__name__}: {error}"
            log.warning("schedules not looked at", action="timekeeping_failed", reason=reason)
            return False
        return True

    def _read_waiting(self) -> None:
        self._readers = [reader for reader in self._readers if reader.poll() is None]
        while len(self._readers) < _MOST_READERS:
            run = self._take()
            if run is None:
                return
            if run.deaths < self.max_deaths:
                self._start(run)
            else:
                self._give_up(run)

    def _take(self) -> HeldRun | None:
        with self.database.read() as connection:
            if not can_take_run(connection):
                return None
        with self.database.write() as connection:
            return take_run(connection, this_owner(), max(self.lease_s, _START_LEASE_S))

    def _start(self, run: HeldRun) -> None:
        command = [sys.executable, "-m", "cli.scheduled", str(run.id), str(run.attempt)]
        told = {} if self.redis_url is None else {"REVIEWMILL_REDIS_URL": self.redis_url}
        # In a group of its own: a Ctrl-C is for this process, which stops it in its turn.
        reader = start_child(command, None, told, own_group=True)
        self._readers.append(reader)
        log.info("run taken", action="run_taken", name=run.schedule.name, attempt=run.attempt, pid=reader.pid)

    def _give_up(self, run: HeldRun) -> None:
        reason = f"the process that read its source was not heard of again, {run.deaths} times"
        log.warning("run failed", action="run_failed", name=run.schedule.name, reason=reason)
        try:
            with self.database.write() as connection:
                fail_run(connection, run, reason)
        except LeaseLost:
            log.info("run lost", action="run_lost", name=run.schedule.name)

    def _stop(self) -> None:
        """Have the runs that are being read given back."""
        for reader in self._readers:
            reader.terminate()
        for reader in self._readers:
            try:
                reader.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                reader.kill()
                reader.wait()


def keep_time(database: Database, redis_url: str | None, stopping: threading.Event) -> None:
    """Run the schedules as the settings say, until `stopping` is set. In the main thread."""
    settings = WorkerSettings()
    Timekeeper(database, redis_url, settings.lease_s, settings.max_attempts).run(stopping)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping
