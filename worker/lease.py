"""Keeping a claim alive: a heartbeat thread renews its lease and says when it is lost."""

import threading
import time
from types import TracebackType

import structlog

from db.claims import Claim, renew_lease
from db.database import Database
from db.errors import DatabaseError, LeaseLost
from worker.errors import StopRequested

#: How often progress is written, which is what a live bar shows.
_REPORT_S = 1.0
#: The lease is renewed every quarter of its length, and given up for lost after this share of it
#: without success, while there is still time to stop before another worker may claim the chunk.
_RENEWALS_PER_LEASE = 4
_LOST_AFTER_SHARE = 0.8

log = structlog.get_logger()


class Heartbeat:
    """Renews a claim's lease while its block runs; `check()` between batches tells whether to go on."""

    def __init__(self, database: Database, claim: Claim, lease_s: float, stopping: threading.Event) -> None:
        self.done = 0  # reviews inferred so far, for the live bar
        self._database = database
        self._claim = claim
        self._lease_s = lease_s
        self._stopping = stopping
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{claim.chunk_id}", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeaseLost or StopRequested when work on this chunk must end now."""
        if self._lost.is_set():
            raise LeaseLost(f"the lease on chunk {self._claim.chunk_id} was lost")
        if self._stopping.is_set():
            raise StopRequested

    def _beat(self) -> None:
        renewed_at, reported = time.monotonic(), 0
        while not self._ended.wait(min(_REPORT_S, self._lease_s / _RENEWALS_PER_LEASE)):
            since = time.monotonic() - renewed_at
            if self.done == reported and since < self._lease_s / _RENEWALS_PER_LEASE:
                continue
            if self._renew(self.done):
                renewed_at, reported = time.monotonic(), self.done
            elif since > self._lease_s * _LOST_AFTER_SHARE:
                self._lost.set()
            if self._lost.is_set():
                return

    def _renew(self, done: int) -> bool:
        try:
            with self._database.write() as connection:
                renew_lease(connection, self._claim, self._lease_s, done)
        except LeaseLost:
            self._lost.set()
            return False
        except DatabaseError as error:
            log.warning("lease not renewed", action="renew_failed", reason=str(error))
            return False
        return True
