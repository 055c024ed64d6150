"""The sweep: chunks that wait in SQL while the queue has run dry are rung again.

A message can be lost with Redis, a lease can run out with its worker. Both show the same way: SQL has
chunks that anybody may claim, and no message waits for them. Ringing only into an empty queue keeps
the sweep from piling up messages behind a long job.
"""

import threading
from collections.abc import Sequence

import structlog

from broker.doorbell import ring, waiting_messages
from broker.errors import BrokerError
from db.claims import waiting_chunks
from db.errors import DatabaseError
from worker.context import WorkerContext

#: Chunks rung in one sweep, which is also the most messages the sweep ever adds to a queue.
_MOST_RINGS = 500

log = structlog.get_logger()


def start_sweep(context: WorkerContext, kinds: Sequence[str]) -> threading.Thread:
    """Sweep every few seconds, in a thread that ends with the process."""
    thread = threading.Thread(target=_sweep_for_ever, args=(context, kinds), name="sweep", daemon=True)
    thread.start()
    return thread


def sweep(context: WorkerContext, kind: str) -> int:
    """Ring the waiting chunks of one kind of job, if no message waits; return how many were rung."""
    if waiting_messages(context.app, kind):
        return 0
    with context.database.read() as connection:
        lost = waiting_chunks(connection, kind, _MOST_RINGS)
    return ring(context.app, lost)


def _sweep_for_ever(context: WorkerContext, kinds: Sequence[str]) -> None:
    while not context.stopping.is_set():
        for kind in kinds:
            try:
                if rung := sweep(context, kind):
                    log.info("chunks rung again", action="swept", kind=kind, rung=rung)
            except (BrokerError, DatabaseError) as error:
                log.warning("sweep failed", action="sweep_failed", reason=str(error))
        context.stopping.wait(context.settings.sweep_s)
