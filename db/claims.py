"""Claims on chunks: one transaction takes some, a lease keeps them, the attempt number fences each.

Every statement that ends or renews a claim names the chunk, the attempt and the state `leased`.
If it matches no row, somebody else holds the chunk or it was cancelled, and the caller must stop.
All times are the database's.

Small chunks are claimed together (db.together), and each ends under its own fence. Only its own deaths count against
a chunk: the death of a worker that held others with it is not counted, and has it worked on alone from then on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    true,
    update,
)

from db.clock import utc_now
from db.dialect import as_list, is_given, is_one_of
from db.errors import LeaseLost
from db.jobs import settle_job
from db.tables import Chunk, Job


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk held by this process until its lease runs out.

    `errors` counts the attempts before this one that failed at the chunk's own work, `deaths` those whose
    worker was not heard of again. `alone` says that it must not be worked on together with others. One that was
    `taken_along` with another is held without a message of its own having been heard.
    """

    chunk_id: int
    attempt: int
    owner: str
    job_id: int
    kind: str
    priority: str
    model_id: int | None
    params: dict[str, Any]
    review_ids: list[int]
    errors: int
    deaths: int
    alone: bool
    taken_along: bool


@dataclass(frozen=True, slots=True)
class Effort:
    """What inferring a chunk's reviews took: the device, by its name among all machines, and how long it computed.

    `tokens` were read by the model, `batch_tokens` is the area of the batches: those tokens and the padding.
    Reviews that failed count with their time only.
    """

    device: str | None = None
    device_s: float = 0.0
    tokens: int = 0
    batch_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChunkEnd:
    """How the rows of a chunk that is done are counted, and what inferring them took."""

    scored: int = 0
    reused: int = 0
    failed: int = 0
    effort: Effort = Effort()


def claim_chunk(connection: Connection, chunk_id: int, owner: str, lease_s: float) -> Claim | None:
    """Take the chunk if it is free: pending and due, or leased with the lease run out. Otherwise None.

    A free chunk of a cancelled job is cancelled instead.
    """
    claims = start_claims(connection, owner, take_free(connection, [chunk_id], owner, lease_s))
    return claims[0] if claims else None


def take_free(
    connection: Connection, chunk_ids: Sequence[int], owner: str, lease_s: float, lead_id: int | None = None
) -> list[Any]:
    """Lease those of the chunks that are free; `lead_id` marks them as held together with that chunk.

    Returns their rows for `start_claims`, which must follow in the same transaction.
    """
    given = {"ids": as_list(chunk_ids), "owner": owner, "lead": lead_id}
    return list(connection.execute(_leasing(connection.dialect.name, lease_s), given))


@cache
def _leasing(dialect: str, lease_s: float) -> Any:
    # A lease that is there to be claimed has run out: it was never given back.
    is_left = Chunk.state == "leased"
    after_death = {name: case((is_left, then), else_=getattr(Chunk, name)) for name, then in _after_death().items()}
    names = ("id", "attempt", "job_id", "review_ids", "errors", "deaths", "alone", "lead_id")
    columns = [getattr(Chunk, name) for name in names]
    return (
        update(Chunk)
        .where(is_given(dialect, Chunk.id, "ids"), is_free())
        .values(
            state="leased",
            attempt=Chunk.attempt + 1,
            lease_owner=bindparam("owner"),
            lease_expires_at=utc_now(lease_s),
            lead_id=bindparam("lead"),
            next_attempt_at=None,
            scored=0,
            **after_death,
        )
        .returning(*columns)
    )


def start_claims(connection: Connection, owner: str, taken: Iterable[Any]) -> list[Claim]:
    """Start the jobs of chunks just taken and return the claims, in order of id.

    A chunk of a cancelled job is cancelled instead.
    """
    rows = sorted(taken, key=lambda row: row.id)
    jobs = _start_jobs(connection, {row.job_id for row in rows}) if rows else {}
    # Added to the job, by a split or a retry, while it was being cancelled.
    cancelled = [row.id for row in rows if jobs[row.job_id].state == "cancelled"]
    if cancelled:
        ended = update(Chunk).where(is_one_of(connection, Chunk.id, cancelled))
        connection.execute(ended.values(**_RELEASED, state="cancelled"))
    return [_claim(row, jobs[row.job_id], owner) for row in rows if row.id not in cancelled]


def still_held(connection: Connection, claims: Sequence[Claim], *, lock: bool = False) -> list[Claim]:
    """Those of the claims whose chunk was neither cancelled nor taken by another attempt.

    With `lock` they stay held until the transaction ends.
    """
    ids = as_list(claim.chunk_id for claim in claims)
    found = connection.execute(_leased(connection.dialect.name, lock), {"ids": ids})
    attempts = {row.id: row.attempt for row in found}
    return [claim for claim in claims if attempts.get(claim.chunk_id) == claim.attempt]


@cache  # asked ten times a second
def _leased(dialect: str, lock: bool) -> Select[int, int]:
    found = select(Chunk.id, Chunk.attempt).where(is_given(dialect, Chunk.id, "ids"), Chunk.state == "leased")
    # In order of id, as every writer of several chunks does.
    return found.order_by(Chunk.id).with_for_update() if lock else found


def renew_leases(connection: Connection, claims: Sequence[Claim], lease_s: float, share_done: float) -> list[Claim]:
    """Lengthen the leases of those claims that still hold, and return them.

    `share_done` of their reviews, 0 to 1, are inferred so far: each chunk notes its part.
    """
    held = still_held(connection, claims, lock=True)
    ids = [claim.chunk_id for claim in held]
    values = {"lease_expires_at": utc_now(lease_s), "scored": func.round(Chunk.size * share_done)}
    connection.execute(update(Chunk).where(is_one_of(connection, Chunk.id, ids)).values(values))
    return held


def finish_chunk(connection: Connection, claim: Claim, *, scored: int = 0, reused: int = 0, failed: int = 0) -> None:
    """End the chunk as done. First statement of the transaction that writes its results. Raises LeaseLost.

    Follow it, in the same transaction, with the results and `settle_job`.
    """
    _release(connection, claim, **_done(ChunkEnd(scored, reused, failed)))


def finish_chunks(connection: Connection, ends: Mapping[int, ChunkEnd]) -> None:
    """End chunks, by id, that this transaction has locked with `still_held`, as done.

    Follow it, in the same transaction, with the results and `settle_jobs`.
    """
    rows = [{"held_id": chunk_id, **_RELEASED, **_done(end)} for chunk_id, end in ends.items()]
    connection.execute(update(Chunk).where(Chunk.id == bindparam("held_id")), rows)


def give_back(connection: Connection, claim: Claim) -> None:
    """Free the chunk for another attempt at once, as on shutdown. Raises LeaseLost."""
    _release(connection, claim, state="pending")


def postpone(connection: Connection, claim: Claim, reason: str, delay_s: float) -> None:
    """Free the chunk for another attempt in `delay_s` seconds, for a reason that is not its own. Raises LeaseLost."""
    _release(connection, claim, state="pending", next_attempt_at=utc_now(delay_s), error=reason)


def retry_later(connection: Connection, claim: Claim, reason: str, delay_s: float) -> None:
    """Free the chunk for another attempt in `delay_s` seconds, and count an error of its own. Raises LeaseLost."""
    _release(
        connection, claim, state="pending", next_attempt_at=utc_now(delay_s), error=reason, errors=Chunk.errors + 1
    )


def fail_chunk(connection: Connection, claim: Claim, reason: str) -> None:
    """Give the chunk up: all its rows count as failed, and the job fails with it. Raises LeaseLost."""
    _release(connection, claim, state="failed", reused=0, failed=Chunk.size, error=reason, errors=Chunk.errors + 1)
    settle_job(connection, claim.job_id)


def release_dead(connection: Connection, owner: str) -> list[int]:
    """Free what a process held that is known to be dead; return the chunks' ids."""
    held = select(Chunk.id).where(Chunk.state == "leased", Chunk.lease_owner == owner)
    freed = connection.scalars(
        update(Chunk)
        .where(Chunk.id.in_(held.order_by(Chunk.id).with_for_update()))
        .values(**_RELEASED, **_after_death(), state="pending")
        .returning(Chunk.id)
    )
    return list(freed)


def take_back(connection: Connection, chunk_ids: Sequence[int]) -> None:
    """Free those of the chunks that are leased: what was done for them so far is not written. Locks all of them."""
    mine = is_one_of(connection, Chunk.id, chunk_ids)
    connection.execute(select(Chunk.id).where(mine).order_by(Chunk.id).with_for_update()).all()
    connection.execute(update(Chunk).where(mine, Chunk.state == "leased").values(**_RELEASED, state="pending"))


def is_free() -> ColumnElement[bool]:
    """Whether anybody may claim a chunk now."""
    return or_(is_due(), ran_out())


def is_due() -> ColumnElement[bool]:
    """Whether a chunk waits for an attempt, and not for the time of one."""
    return and_(Chunk.state == "pending", or_(Chunk.next_attempt_at.is_(None), Chunk.next_attempt_at <= utc_now()))


def ran_out() -> ColumnElement[bool]:
    """Whether a chunk is under a lease that ran out: its worker died, or was cut off for as long."""
    return and_(Chunk.state == "leased", Chunk.lease_expires_at < utc_now())


def is_suspect() -> ColumnElement[bool]:
    """Whether a worker has died of a chunk, or may have."""
    # As above: of a free chunk, the lease has run out.
    return or_(Chunk.deaths > 0, Chunk.alone, Chunk.state == "leased")


_RELEASED: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None, "lead_id": None, "scored": 0}


def _done(end: ChunkEnd) -> dict[str, Any]:
    counts = {"scored": end.scored, "reused": end.reused, "failed": end.failed}
    return {"state": "done", "error": None, **counts, **asdict(end.effort)}


def _after_death() -> dict[str, Any]:
    """What becomes of a leased chunk's counts when its worker is dead."""
    in_company = Chunk.lead_id.is_not(None)
    return {
        "deaths": Chunk.deaths + case((in_company, 0), else_=1),
        "alone": case((in_company, true()), else_=Chunk.alone),
    }


def _claim(row: Any, job: Any, owner: str) -> Claim:
    return Claim(
        chunk_id=row.id,
        attempt=row.attempt,
        owner=owner,
        job_id=job.id,
        kind=job.kind,
        priority=job.priority,
        model_id=job.model_id,
        params=job.params,
        review_ids=row.review_ids,
        errors=row.errors,
        deaths=row.deaths,
        alone=row.alone,
        taken_along=row.lead_id is not None,
    )


def cancel_left_over(connection: Connection, chunk_id: int) -> None:
    """Cancel the chunk if it was added to its job while that was being cancelled: no turn comes to it any more."""
    cancelled = select(Job.id).where(Job.state == "cancelled")
    left_over = (Chunk.id == chunk_id, Chunk.state == "pending", Chunk.job_id.in_(cancelled))
    connection.execute(update(Chunk).where(*left_over).values(**_RELEASED, state="cancelled"))


def _start_jobs(connection: Connection, job_ids: Iterable[int]) -> dict[int, Any]:
    """Set pending jobs running, note that all have had a turn, and return what chunks need to know of them, by job."""
    ids = {"ids": as_list(job_ids)}
    dialect = connection.dialect.name
    connection.execute(_noting(dialect), ids)
    connection.execute(_starting(dialect), ids)
    return {row.id: row for row in connection.execute(_facts(dialect), ids)}


@cache
def _noting(dialect: str) -> Update:
    running = select(Job.id).where(is_given(dialect, Job.id, "ids"), Job.state == "running")
    # Whoever serves or settles one at this moment is not waited for: the order of turns need not be exact.
    noted = running.with_for_update(key_share=True, skip_locked=True)
    return update(Job).where(Job.id.in_(noted)).values(served_at=utc_now())


@cache
def _starting(dialect: str) -> Update:
    waiting = select(Job.id).where(is_given(dialect, Job.id, "ids"), Job.state == "pending").order_by(Job.id)
    return (
        update(Job)
        .where(Job.id.in_(waiting.with_for_update(key_share=True)))
        # A retried job keeps its first start: what it scored before counts towards its speed.
        .values(state="running", started_at=func.coalesce(Job.started_at, utc_now()), served_at=utc_now())
    )


@cache
def _facts(dialect: str) -> Any:
    columns = Job.id, Job.state, Job.kind, Job.priority, Job.model_id, Job.params
    return select(*columns).where(is_given(dialect, Job.id, "ids"))


def _held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return Chunk.id == claim.chunk_id, Chunk.attempt == claim.attempt, Chunk.state == "leased"


def _release(connection: Connection, claim: Claim, **values: Any) -> None:
    changed = connection.execute(update(Chunk).where(*_held(claim)).values({**_RELEASED, **values}))
    if changed.rowcount != 1:
        raise LeaseLost(f"chunk {claim.chunk_id} is no longer held by attempt {claim.attempt} of {claim.owner}")
