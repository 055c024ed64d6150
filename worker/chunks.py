"""Working on a chunk under a claim: what happens around the work, whatever the work is."""

import errno
import time
from collections.abc import Callable

import structlog
from sqlalchemy import Connection

from broker.doorbell import ring
from db.claims import Claim, claim_chunk, fail_chunk, give_back, is_free_suspect, postpone, retry_later
from db.errors import DatabaseUnreachable, LeaseLost
from db.rings import Ring
from worker.context import WorkerContext
from worker.errors import ModelMissing, PrecisionError, StopRequested, TrainingError, reason_of
from worker.lease import Heartbeat
from worker.suspects import end_suspect

Work = Callable[[WorkerContext, Claim, Heartbeat], None]

#: The pause before the second attempt; each further one waits twice as long, up to the longest.
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 60.0
#: Errors that another attempt would only repeat.
_HOPELESS = (TrainingError, ModelMissing, PrecisionError)
#: What the operating system says when a disk, a network or the machine is at its end, whatever the data are.
_MACHINE_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EROFS,
    errno.ESTALE,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.ETIMEDOUT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
}

log = structlog.get_logger()


def run_chunk(context: WorkerContext, chunk_id: int, work: Work) -> None:
    """Claim the chunk and do the work. A chunk that is done or held already is left alone.

    Never raises for the chunk's sake: whatever happens is written to SQL, which the sweep acts upon.
    """
    with context.turns.beside_others():
        if _run(context, chunk_id, work, suspects=False):
            return
    if _waits_as_suspect(context, chunk_id):
        with context.turns.alone():
            _run(context, chunk_id, work, suspects=True)


def _run(context: WorkerContext, chunk_id: int, work: Work, *, suspects: bool) -> bool:
    """Claim the chunk and do the work; return whether it was to be had."""
    if context.stopping.is_set():
        return True
    claimed_at = time.monotonic()
    claim = _claim(context, chunk_id, suspects)
    if claim is None:
        return False
    heartbeat = Heartbeat(context.database, claim, context.settings.lease_s, context.stopping, claimed_at)
    try:
        with context.holding(claim), heartbeat:
            if not end_suspect(context, claim, heartbeat):
                work(context, claim, heartbeat)
    except Exception as error:
        _end_early(context, claim, error)
    return True


def _claim(context: WorkerContext, chunk_id: int, suspects: bool) -> Claim | None:
    try:
        with context.database.write() as connection:
            claim = claim_chunk(connection, chunk_id, context.owner, context.settings.lease_s, suspects=suspects)
    except DatabaseUnreachable as error:
        # The message is gone, the chunk is not: the sweep rings it again.
        log.warning("chunk not claimed", action="claim_failed", chunk=chunk_id, reason=str(error))
        return None
    if claim is None:
        log.debug("chunk not free", action="chunk_not_free", chunk=chunk_id)
        return None
    log.info("chunk claimed", action="chunk_claimed", job=claim.job_id, chunk=chunk_id, attempt=claim.attempt)
    return claim


def _waits_as_suspect(context: WorkerContext, chunk_id: int) -> bool:
    try:
        with context.database.read() as connection:
            return is_free_suspect(connection, chunk_id)
    except DatabaseUnreachable as error:
        log.warning("chunk not claimed", action="claim_failed", chunk=chunk_id, reason=str(error))
        return False


def _end_early(context: WorkerContext, claim: Claim, error: Exception) -> None:
    if isinstance(error, LeaseLost):
        log.warning("lease lost", action="lease_lost", **_about(claim))
        return
    try:
        with context.database.write() as connection:
            _note_end(context, connection, claim, error)
    except LeaseLost:
        log.warning("lease lost", action="lease_lost", **_about(claim))
    except DatabaseUnreachable as unreachable:
        # The lease runs out by itself, and the sweep offers the chunk to another attempt.
        log.warning("chunk left to its lease", action="chunk_left", **_about(claim), reason=str(unreachable))
    else:
        if isinstance(error, StopRequested):
            # Others need not wait for a sweep to find it.
            ring(context.app, [Ring(claim.chunk_id, claim.kind, claim.priority)])


def _note_end(context: WorkerContext, connection: Connection, claim: Claim, error: Exception) -> None:
    reason = reason_of(error)
    about = {**_about(claim), "reason": reason}
    if isinstance(error, StopRequested):
        give_back(connection, claim)
        log.info("chunk given back", action="chunk_given_back", **_about(claim))
    elif _is_the_machines(error):
        postpone(connection, claim, reason, _pause_s(claim.attempt))
        log.warning("chunk put off", action="chunk_put_off", **about)
    elif isinstance(error, _HOPELESS) or claim.errors + 1 >= context.settings.max_attempts:
        fail_chunk(connection, claim, reason)
        log.error("chunk failed", action="chunk_failed", **about, exc_info=error)
    else:
        retry_later(connection, claim, reason, _pause_s(claim.errors + 1))
        log.warning("chunk will be retried", action="chunk_retry", **about, exc_info=error)


def _is_the_machines(error: Exception) -> bool:
    """Whether the database, the disk or the network is to blame: never counted against the data."""
    return isinstance(error, DatabaseUnreachable) or (isinstance(error, OSError) and error.errno in _MACHINE_ERRORS)


def _pause_s(attempt: int) -> float:
    return min(_FIRST_RETRY_S * 2.0 ** min(attempt - 1, 30), _LONGEST_RETRY_S)


def _about(claim: Claim) -> dict[str, int]:
    return {"job": claim.job_id, "chunk": claim.chunk_id, "attempt": claim.attempt}
