"""Keeping claims alive: a heartbeat thread renews their leases, and says when they are lost."""

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

import structlog
from sqlalchemy import Connection

from db.claims import Claim, renew_leases, still_held
from db.database import Database
from db.errors import DatabaseUnreachable, LeaseLost
from worker.errors import StopRequested

#: How often progress is written, which is what a live bar shows.
_REPORT_S = 1.0
#: Leases are renewed every quarter of their length, and given up for lost after this share of it
#: without success, while there is still time to stop before another worker may claim the chunk.
_RENEWALS_PER_LEASE = 4
_LOST_AFTER_SHARE = 0.8
#: How often the database is asked whether chunks were cancelled. A batch of any real model takes longer, so that
#: nearly every batch is preceded by a look.
_LOOK_S = 0.1
#: The pause before a transaction is tried again while the database is away.
_DATABASE_RETRY_S = 0.5

log = structlog.get_logger()


class Heartbeat:
    """Renews the leases of claims while its block runs; `check()` between batches tells whether to go on.

    `claimed_at` is this process's monotonic time from before the claims were made: the leases run out no
    earlier than `lease_s` after it, whatever the clocks of the two machines say. A chunk that is cancelled takes
    nothing from the others; the work must end when none is left.
    """

    def __init__(
        self,
        database: Database,
        claims: Sequence[Claim],
        lease_s: float,
        stopping: threading.Event,
        claimed_at: float,
    ) -> None:
        self.done = 0  # reviews inferred so far, for the live bar
        self.claimed_at = claimed_at
        self._database = database
        self._held = list(claims)
        self._rows = max(1, sum(len(claim.review_ids) for claim in claims))
        self._name = f"chunk {claims[0].chunk_id}" if len(claims) == 1 else f"{len(claims)} chunks"
        self._lease_s = lease_s
        self._stopping = stopping
        self._renewed_at = claimed_at
        self._ended = threading.Event()
        self._lost = threading.Event()
        # What it logs is about the same chunks.
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._beat,), name=f"lease-{claims[0].chunk_id}", daemon=True
        )

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not joined: a renewal that hangs in a dead connection must not hold up the chunk's end.
        self._ended.set()

    def check(self) -> None:
        """Raise LeaseLost or StopRequested when the work must end now. Takes no time: a device waits for it."""
        self._check_lease()
        if self._stopping.is_set():
            raise StopRequested

    def commit(self, write: Callable[[Connection], None]) -> None:
        """Run `write` in a transaction; while the database is away, try again until the lease is lost.

        Raises LeaseLost. What was inferred outlives a restart of the database in this way. If the commit itself
        was cut off and yet succeeded, the second try finds the claim ended and nothing is written twice.
        """
        while True:
            self._check_lease()
            try:
                with self._database.write() as connection:
                    write(connection)
                return
            except DatabaseUnreachable as error:
                log.warning("database away", action="commit_waits", held=self._name, reason=str(error))
                time.sleep(_DATABASE_RETRY_S)

    def _check_lease(self) -> None:
        # By this process's own clock, not by the thread's word: the thread may hang in a dead connection,
        # and after a pause (SIGSTOP, a suspended machine) this one may run first.
        if self._lost.is_set() or self._held_for() < 0:
            raise LeaseLost(f"the lease on {self._name} was lost")

    def _held_for(self) -> float:
        return self._renewed_at + self._lease_s * _LOST_AFTER_SHARE - time.monotonic()

    def _beat(self) -> None:
        reported, report_at = 0, time.monotonic() + _REPORT_S
        while not self._ended.wait(_LOOK_S):
            done, now = self.done, time.monotonic()
            # By the clock, not at the first news: those come just before a short chunk is committed, and a process
            # that is stopped in the middle of a write keeps SQLite locked for everybody.
            is_time = now >= report_at
            report_at += _REPORT_S if is_time else 0
            if (is_time and done != reported) or now - self._renewed_at >= self._lease_s / _RENEWALS_PER_LEASE:
                if self._renew(done):
                    self._renewed_at, reported = now, done
            else:
                self._look()
            if not self._held or self._held_for() < 0:
                self._lost.set()
                return

    def _renew(self, done: int) -> bool:
        try:
            with self._database.write() as connection:
                self._held = renew_leases(connection, self._held, self._lease_s, done / self._rows)
        except DatabaseUnreachable as error:
            log.warning("lease not renewed", action="renew_failed", reason=str(error))
            return False
        return True

    def _look(self) -> None:
        try:
            with self._database.read() as connection:
                self._held = still_held(connection, self._held)
        except DatabaseUnreachable:
            return  # the lease decides how long to go on without
