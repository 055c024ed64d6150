"""Claims on chunks: one atomic UPDATE takes one, a lease keeps it, the attempt number fences it.

Every statement that ends or renews a claim names the chunk, the attempt and the state `leased`.
If it matches no row, somebody else holds the chunk or it was cancelled, and the caller must stop.
All times are the database's.
"""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, update

from db.clock import utc_now
from db.errors import LeaseLost
from db.jobs import settle_job
from db.tables import Chunk, Job


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk held by this process until its lease runs out.

    `errors` counts the attempts before this one that failed at the chunk's own work, `deaths` those whose
    worker was not heard of again.
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


def claim_chunk(connection: Connection, chunk_id: int, owner: str, lease_s: float) -> Claim | None:
    """Take the chunk if it is free: pending and due, or leased with the lease run out. Otherwise None.

    A free chunk of a cancelled job is cancelled instead.
    """
    row = connection.execute(
        update(Chunk)
        .where(Chunk.id == chunk_id, is_free())
        .values(
            state="leased",
            attempt=Chunk.attempt + 1,
            lease_owner=owner,
            lease_expires_at=utc_now(lease_s),
            next_attempt_at=None,
            scored=0,
            # A lease that ran out was never given back: its worker died, or was cut off for as long.
            deaths=Chunk.deaths + case((Chunk.state == "leased", 1), else_=0),
        )
        .returning(Chunk.attempt, Chunk.job_id, Chunk.review_ids, Chunk.errors, Chunk.deaths)
    ).first()
    if row is None:
        return None
    connection.execute(
        update(Job)
        .where(Job.id == row.job_id, Job.state == "pending")
        # A retried job keeps its first start: what it scored before counts towards its speed.
        .values(state="running", started_at=func.coalesce(Job.started_at, utc_now()))
    )
    columns = (Job.state, Job.kind, Job.priority, Job.model_id, Job.params)
    state, kind, priority, model_id, params = connection.execute(select(*columns).where(Job.id == row.job_id)).one()
    if state == "cancelled":
        # Added to the job, by a split or a retry, while it was being cancelled.
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(**_RELEASED, state="cancelled"))
        return None
    return Claim(
        chunk_id=chunk_id,
        attempt=row.attempt,
        owner=owner,
        job_id=row.job_id,
        kind=kind,
        priority=priority,
        model_id=model_id,
        params=params,
        review_ids=row.review_ids,
        errors=row.errors,
        deaths=row.deaths,
    )


def is_held(connection: Connection, claim: Claim) -> bool:
    """Whether the chunk is still the claim's: not cancelled, and not taken by another attempt."""
    return connection.scalar(select(Chunk.id).where(*_held(claim))) is not None


def renew_lease(connection: Connection, claim: Claim, lease_s: float, scored: int) -> None:
    """Lengthen the lease and note how many reviews are inferred so far. Raises LeaseLost."""
    _update_held(connection, claim, lease_expires_at=utc_now(lease_s), scored=scored)


def finish_chunk(
    connection: Connection,
    claim: Claim,
    *,
    scored: int = 0,
    reused: int = 0,
    failed: int = 0,
    effort: Effort | None = None,
) -> None:
    """End the chunk as done. First statement of the transaction that writes its results. Raises LeaseLost.

    Follow it, in the same transaction, with the results and `settle_job`.
    """
    counts = {"scored": scored, "reused": reused, "failed": failed, **asdict(effort or Effort())}
    _release(connection, claim, state="done", error=None, **counts)


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
    freed = connection.scalars(
        update(Chunk)
        .where(Chunk.state == "leased", Chunk.lease_owner == owner)
        .values(**_RELEASED, state="pending", deaths=Chunk.deaths + 1)
        .returning(Chunk.id)
    )
    return list(freed)


def is_free() -> ColumnElement[bool]:
    """Whether anybody may claim a chunk now."""
    due = or_(Chunk.next_attempt_at.is_(None), Chunk.next_attempt_at <= utc_now())
    return or_(
        and_(Chunk.state == "pending", due),
        and_(Chunk.state == "leased", Chunk.lease_expires_at < utc_now()),
    )


_RELEASED: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None, "scored": 0}


def _held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return Chunk.id == claim.chunk_id, Chunk.attempt == claim.attempt, Chunk.state == "leased"


def _release(connection: Connection, claim: Claim, **values: Any) -> None:
    _update_held(connection, claim, **{**_RELEASED, **values})


def _update_held(connection: Connection, claim: Claim, **values: Any) -> None:
    changed = connection.execute(update(Chunk).where(*_held(claim)).values(**values))
    if changed.rowcount != 1:
        raise LeaseLost(f"chunk {claim.chunk_id} is no longer held by attempt {claim.attempt} of {claim.owner}")
