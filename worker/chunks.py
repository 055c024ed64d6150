"""Working on a chunk under a claim: what happens around the work, whatever the work is."""

from collections.abc import Callable

import structlog

from db.claims import Claim, claim_chunk, fail_chunk, give_back, retry_later
from db.errors import DatabaseError, LeaseLost
from worker.context import WorkerContext
from worker.errors import ModelMissing, StopRequested, TrainingError
from worker.lease import Heartbeat

Work = Callable[[WorkerContext, Claim, Heartbeat], None]

#: The pause before the second attempt; each further one waits twice as long.
_FIRST_RETRY_S = 2.0
#: Errors that another attempt would only repeat.
_HOPELESS = (TrainingError, ModelMissing)

log = structlog.get_logger()


def run_chunk(context: WorkerContext, chunk_id: int, work: Work) -> None:
    """Claim the chunk and do the work. A chunk that is done or held already is left alone.

    Never raises for the chunk's sake: whatever happens is written to SQL, which the sweep acts upon.
    """
    if context.stopping.is_set():
        return
    with context.database.write() as connection:
        claim = claim_chunk(connection, chunk_id, context.owner, context.settings.lease_s)
    if claim is None:
        log.debug("chunk not free", action="chunk_not_free", chunk=chunk_id)
        return
    log.info("chunk claimed", action="chunk_claimed", job=claim.job_id, chunk=chunk_id, attempt=claim.attempt)
    try:
        with Heartbeat(context.database, claim, context.settings.lease_s, context.stopping) as heartbeat:
            work(context, claim, heartbeat)
    except Exception as error:
        _end_early(context, claim, error)


def _end_early(context: WorkerContext, claim: Claim, error: Exception) -> None:
    try:
        _note_end(context, claim, error)
    except DatabaseError as unreachable:
        # The lease runs out by itself, and the sweep offers the chunk to another attempt.
        log.warning("chunk left to its lease", action="chunk_left", chunk=claim.chunk_id, reason=str(unreachable))


def _note_end(context: WorkerContext, claim: Claim, error: Exception) -> None:
    about = {"job": claim.job_id, "chunk": claim.chunk_id, "attempt": claim.attempt}
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, LeaseLost):
        log.warning("lease lost", action="lease_lost", **about)
        return
    if isinstance(error, StopRequested):
        with context.database.write() as connection:
            give_back(connection, claim)
        log.info("chunk given back", action="chunk_given_back", **about)
    elif isinstance(error, _HOPELESS) or claim.attempt >= context.settings.max_attempts:
        with context.database.write() as connection:
            fail_chunk(connection, claim, reason)
        log.error("chunk failed", action="chunk_failed", reason=reason, **about, exc_info=error)
    else:
        with context.database.write() as connection:
            retry_later(connection, claim, reason, _FIRST_RETRY_S * 2 ** (claim.attempt - 1))
        log.warning("chunk will be retried", action="chunk_retry", reason=reason, **about, exc_info=error)
