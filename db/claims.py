"""Claims on chunks: one atomic UPDATE takes one, a lease keeps it, the attempt number fences it.

Every statement that ends or renews a claim names the chunk, the attempt and the state `leased`.
If it matches no row, somebody else holds the chunk or it was cancelled, and the caller must stop.
All times are the database's.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from db.clock import utc_now
from db.errors import LeaseLost
from db.jobs import settle_job
from db.tables import Chunk, Job


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk held by this process until its lease runs out."""

    chunk_id: int
    attempt: int
    owner: str
    job_id: int
    kind: str
    model_id: int | None
    params: dict[str, Any]
    review_ids: list[int]


class Ring(NamedTuple):
    """What a doorbell message says, and what decides its queue and its place there."""

    chunk_id: int
    kind: str
    priority: str


def claim_chunk(connection: Connection, chunk_id: int, owner: str, lease_s: float) -> Claim | None:
    """Take the chunk if it is free: pending and due, or leased with the lease run out. Otherwise None."""
    row = connection.execute(
        update(Chunk)
        .where(Chunk.id == chunk_id, _is_free())
        .values(
            state="leased",
            attempt=Chunk.attempt + 1,
            lease_owner=owner,
            lease_expires_at=utc_now(lease_s),
            next_attempt_at=None,
            scored=0,
        )
        .returning(Chunk.attempt, Chunk.job_id, Chunk.review_ids)
    ).first()
    if row is None:
        return None
    connection.execute(
        update(Job).where(Job.id == row.job_id, Job.state == "pending").values(state="running", started_at=utc_now())
    )
    job = connection.execute(select(Job.kind, Job.model_id, Job.params).where(Job.id == row.job_id)).one()
    kind, model_id, params = job
    return Claim(chunk_id, row.attempt, owner, row.job_id, kind, model_id, params, row.review_ids)


def renew_lease(connection: Connection, claim: Claim, lease_s: float, scored: int) -> None:
    """Lengthen the lease and note how many reviews are inferred so far. Raises LeaseLost."""
    _update_held(connection, claim, lease_expires_at=utc_now(lease_s), scored=scored)


def finish_chunk(connection: Connection, claim: Claim, *, scored: int = 0, reused: int = 0, failed: int = 0) -> None:
    """End the chunk as done. First statement of the transaction that writes its results. Raises LeaseLost.

    Follow it, in the same transaction, with the results and `settle_job`.
    """
    _update_held(
        connection,
        claim,
        state="done",
        lease_owner=None,
        lease_expires_at=None,
        scored=scored,
        reused=reused,
        failed=failed,
        error=None,
    )


def give_back(connection: Connection, claim: Claim) -> None:
    """Free the chunk for another attempt at once, as on shutdown. Raises LeaseLost."""
    _update_held(connection, claim, state="pending", lease_owner=None, lease_expires_at=None, scored=0)


def retry_later(connection: Connection, claim: Claim, reason: str, delay_s: float) -> None:
    """Free the chunk for another attempt in `delay_s` seconds. Raises LeaseLost."""
    _update_held(
        connection,
        claim,
        state="pending",
        lease_owner=None,
        lease_expires_at=None,
        next_attempt_at=utc_now(delay_s),
        scored=0,
        error=reason,
    )


def fail_chunk(connection: Connection, claim: Claim, reason: str) -> None:
    """Give the chunk up: all its rows count as failed, and the job fails with it. Raises LeaseLost."""
    _update_held(
        connection,
        claim,
        state="failed",
        lease_owner=None,
        lease_expires_at=None,
        scored=0,
        reused=0,
        failed=Chunk.size,
        error=reason,
    )
    settle_job(connection, claim.job_id)


def waiting_chunks(connection: Connection, kind: str, limit: int) -> list[Ring]:
    """Chunks of that kind of job which anybody may claim now, the oldest first."""
    found = connection.execute(
        select(Chunk.id, Job.kind, Job.priority)
        .join(Job, Job.id == Chunk.job_id)
        .where(_is_free(), Job.kind == kind)
        .order_by(Chunk.id)
        .limit(limit)
    )
    return [Ring(*row) for row in found]


def _is_free() -> ColumnElement[bool]:
    due = or_(Chunk.next_attempt_at.is_(None), Chunk.next_attempt_at <= utc_now())
    return or_(
        and_(Chunk.state == "pending", due),
        and_(Chunk.state == "leased", Chunk.lease_expires_at < utc_now()),
    )


def _update_held(connection: Connection, claim: Claim, **values: Any) -> None:
    changed = connection.execute(
        update(Chunk)
        .where(Chunk.id == claim.chunk_id, Chunk.attempt == claim.attempt, Chunk.state == "leased")
        .values(**values)
    )
    if changed.rowcount != 1:
        raise LeaseLost(f"chunk {claim.chunk_id} is no longer held by attempt {claim.attempt} of {claim.owner}")
