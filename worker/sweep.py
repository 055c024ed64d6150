"""The sweep: chunks that wait in SQL for a message that was lost are rung again."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from celery import Celery

from broker.doorbell import is_dry, ring
from db.database import Database
from db.rings import note_rings, unrung_chunks
from worker import metrics

#: Chunks rung in one sweep of one queue, so that a queue that was wiped is filled again bit by bit.
_MOST_RINGS = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks, every `sweep_s` seconds, for lost messages of those kinds of job. Any number may sweep at once."""

    database: Database
    app: Celery
    kinds: Sequence[str]
    sweep_s: float

    def start(self, stopping: threading.Event) -> threading.Thread:
        """Sweep until `stopping` is set, in a thread that ends with the process."""
        thread = threading.Thread(target=self.run, args=(stopping,), name="sweep", daemon=True)
        thread.start()
        return thread

    def run(self, stopping: threading.Event) -> None:
        """Sweep until `stopping` is set."""
        while not stopping.is_set():
            for kind in self.kinds:
                self._sweep_safely(kind)
            stopping.wait(self.sweep_s)

    def sweep(self, kind: str) -> int:
        """Ring the lost chunks of one kind of job; return how many were rung. Raises BrokerError, DatabaseError."""
        if not is_dry(self.app, kind):
            return 0
        with self.database.read() as connection:
            lost = unrung_chunks(connection, kind, _MOST_RINGS)
        if not lost:
            return 0
        # Written down first: a ring that then fails is a lost one, and the next sweep's.
        with self.database.write() as connection:
            mine = note_rings(connection, lost)
        return ring(self.app, mine)

    def _sweep_safely(self, kind: str) -> None:
        try:
            if rung := self.sweep(kind):
                metrics.CHUNKS_RUNG_AGAIN.labels(kind).inc(rung)
                log.info("chunks rung again", action="swept", kind=kind, rung=rung)
        except Exception as error:
            # Whatever it is, the next sweep must come: without it a lost message is lost for good.
            log.warning("sweep failed", action="sweep_failed", kind=kind, reason=f"{type(error).__name__}: {error}")
