"""Working on chunks under a claim: what happens around the work, whatever the work is."""

import errno
import time
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import Connection

from broker import tracing
from broker.doorbell import ring
from broker.tracing import TRACEPARENT
from db.claims import Claim, cancel_left_over, fail_chunk, give_back, postpone, retry_later, still_held
from db.errors import (
    DatabaseUnreachable,
    LeaseLost,
    ModelChanged,
    ModelMissing,
    ModelNotAllowed,
    StoreUnreachable,
)
from db.rings import Ring
from db.together import claim_together, is_small
from db.turns import Turn, small_waiting, whose_turn
from worker import metrics
from worker.context import WorkerContext
from worker.errors import (
    PrecisionError,
    StopRequested,
    TrainingError,
    UnknownReading,
    reason_of,
)
from worker.lease import Heartbeat
from worker.logs import about, ids_of
from worker.suspects import end_suspect

Work = Callable[[WorkerContext, Sequence[Claim], Heartbeat], None]

#: The pause before the second attempt; each further one waits twice as long, up to the longest.
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 60.0
#: Errors that another attempt would only repeat.
_HOPELESS = (TrainingError, ModelChanged, ModelMissing, ModelNotAllowed, PrecisionError, UnknownReading)
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


def run_chunk(context: WorkerContext, rung_id: int, work: Work) -> None:
    """Claim the chunk whose turn it is, others along with it if they are small or done in a moment, and do the work.

    It is of the kind of job of the chunk that was rung for, and often another chunk than that. Where none is free
    the ring is dropped. Never raises for the chunks' sake: whatever happens is written to SQL, which the sweep acts
    upon.
    """
    # One ring was heard for all that are held together; the others', which a thousand may be, are dropped without a
    # query. There are then as many rings as free chunks, as before.
    held = context.held.get(rung_id)
    if held is not None and held.taken_along:
        return
    with context.turns.beside_others():
        served = _serve(context, rung_id, work, suspects=False)
    if not served:
        with context.turns.alone():
            _serve(context, rung_id, work, suspects=True)


def run_small(context: WorkerContext, beside: Claim, room: int, work: Work) -> None:
    """Claim small chunks that wait, of together at most `room` reviews, and do the work, beside what is held already.

    Which they are says `small_waiting`; their messages are left, to serve others or to be dropped. Never raises, as
    above.
    """
    claimed_at = time.monotonic()
    if claims := _claim_small(context, beside, room):
        _hold(context, claims, claimed_at, work)


def _serve(context: WorkerContext, rung_id: int, work: Work, *, suspects: bool) -> bool:
    """Claim what there is to be claimed and do the work; return False where it is a suspect's turn, and may not be."""
    if context.stopping.is_set():
        return True
    claimed_at = time.monotonic()
    if claims := _claim(context, rung_id, suspects):
        _hold(context, claims, claimed_at, work)
    return claims is not None


def _hold(context: WorkerContext, claims: Sequence[Claim], claimed_at: float, work: Work) -> None:
    with about(claims):
        heartbeat = Heartbeat(context.database, claims, context.settings.lease_s, context.stopping, claimed_at)
        with context.holding(claims), heartbeat:
            _try(context, claims, heartbeat, work)
    context.strides.note(claims, heartbeat.done, time.monotonic() - claimed_at)


def _claim(context: WorkerContext, rung_id: int, suspects: bool) -> list[Claim] | None:
    """The claims, or None where it is a suspect's turn, and may not be."""
    try:
        with context.database.write() as connection:
            turn = whose_turn(connection, rung_id)
            if turn is not None and turn.is_suspect and not suspects:
                return None
            claims = _take(context, connection, turn, rung_id)
    except DatabaseUnreachable as error:
        # The message is gone, the chunk is not: the sweep rings it again.
        log.warning("chunk not claimed", action="claim_failed", chunk=rung_id, reason=str(error))
        return []
    if not claims:
        log.debug("nothing is free", action="nothing_free", chunk=rung_id)
    _log_claims(claims)
    return claims


def _claim_small(context: WorkerContext, beside: Claim, room: int) -> list[Claim]:
    try:
        # Asked first without the right to write, which is seldom needed and for which others would have to wait.
        with context.database.read() as connection:
            if small_waiting(connection, beside, room) is None:
                return []
        with context.database.write() as connection:
            chunk_id = small_waiting(connection, beside, room)
            if chunk_id is None:
                return []
            claims = claim_together(connection, chunk_id, context.owner, context.settings.lease_s, room)
    except DatabaseUnreachable as error:
        log.warning("chunk not claimed", action="claim_failed", chunk=beside.chunk_id, reason=str(error))
        return []
    _log_claims(claims)
    return claims


def _log_claims(claims: Sequence[Claim]) -> None:
    for claim in claims:
        log.info("chunk claimed", action="chunk_claimed", **ids_of([claim]))


def _take(context: WorkerContext, connection: Connection, turn: Turn | None, rung_id: int) -> list[Claim]:
    if turn is None:
        cancel_left_over(connection, rung_id)
        return []
    lease_s, room = context.settings.lease_s, context.settings.chunk_size
    return claim_together(connection, turn.chunk_id, context.owner, lease_s, room, context.strides.of)


def _try(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat, work: Work) -> None:
    try:
        # A suspect is always claimed alone.
        if not end_suspect(context, claims[0], heartbeat):
            with tracing.working([claim.params.get(TRACEPARENT) for claim in claims], **ids_of(claims)):
                work(context, claims, heartbeat)
    except Exception as error:
        if len(claims) == 1 or _is_nobodys(error):
            _end_early(context, claims, error)
            return
        log.warning("chunks are worked on one by one", action="chunks_parted", exc_info=error)
        for claim in claims:
            # Only an error that it makes alone is a chunk's own.
            with about([claim]):
                _try(context, [claim], heartbeat, work)


def _end_early(context: WorkerContext, claims: Sequence[Claim], error: Exception) -> None:
    try:
        # Of what was lost nothing is to be written, and the database may be out of reach.
        ends = {} if isinstance(error, LeaseLost) else _end_held(context, claims, error)
    except DatabaseUnreachable as unreachable:
        # The leases run out by themselves, and the sweep offers the chunks to another attempt.
        for claim in claims:
            log.warning("chunk left to its lease", action="chunk_left", **ids_of([claim]), reason=str(unreachable))
        return
    held = [claim for claim in claims if claim.chunk_id in ends]
    for claim in claims:
        metrics.note_end(claim, ends.get(claim.chunk_id, "lost"))
        if claim.chunk_id not in ends:
            log.warning("lease lost", action="lease_lost", **ids_of([claim]))
    if isinstance(error, StopRequested) and held:
        # Others need not wait for a sweep to find them: whoever takes the first of small ones takes the rest along.
        rung = held[:1] if is_small(len(held[0].review_ids), context.settings.chunk_size) else held
        ring(context.app, [Ring(claim.chunk_id, claim.kind, claim.priority) for claim in rung])


def _end_held(context: WorkerContext, claims: Sequence[Claim], error: Exception) -> dict[int, str]:
    """Note the error as the end of those that are still held; return how each ended, by its chunk.

    Raises DatabaseUnreachable.
    """
    with context.database.write() as connection:
        held = still_held(connection, claims, lock=True)
        return {claim.chunk_id: _end(context, connection, claim, error) for claim in held}


def _end(context: WorkerContext, connection: Connection, claim: Claim, error: Exception) -> str:
    """End an attempt that did not succeed, and return how, as one of OUTCOMES."""
    reason = reason_of(error)
    facts = {**ids_of([claim]), "reason": reason}
    if isinstance(error, StopRequested):
        give_back(connection, claim)
        log.info("chunk given back", action="chunk_given_back", **ids_of([claim]))
        return "given_back"
    if _is_the_machines(error):
        postpone(connection, claim, reason, _pause_s(claim.attempt))
        log.warning("chunk put off", action="chunk_put_off", **facts)
        return "put_off"
    if isinstance(error, _HOPELESS) or claim.errors + 1 >= context.settings.max_attempts:
        fail_chunk(connection, claim, reason)
        log.error("chunk failed", action="chunk_failed", **facts, exc_info=error)
        return "failed"
    retry_later(connection, claim, reason, _pause_s(claim.errors + 1))
    log.warning("chunk will be retried", action="chunk_retry", **facts, exc_info=error)
    return "retried"


def _is_nobodys(error: Exception) -> bool:
    """Whether no chunk is to blame, so that all that are held share its end."""
    return isinstance(error, LeaseLost | StopRequested) or _is_the_machines(error)


def _is_the_machines(error: Exception) -> bool:
    """Whether the database, the model store, the disk or the network is to blame: never counted against the data."""
    return isinstance(error, DatabaseUnreachable | StoreUnreachable) or (
        isinstance(error, OSError) and error.errno in _MACHINE_ERRORS
    )


def _pause_s(attempt: int) -> float:
    return min(_FIRST_RETRY_S * 2.0 ** min(attempt - 1, 30), _LONGEST_RETRY_S)
