"""Claiming small chunks together, so that many small jobs cost hardly more than one large one."""

from typing import Any

from sqlalchemy import Connection, func, select, update

from db.claims import Claim, is_due, start_claims, take_free
from db.tables import PRIORITIES, TRUNCATE, Chunk, Job
from db.turns import rank


def claim_together(connection: Connection, chunk_id: int, owner: str, lease_s: float, room: int) -> list[Claim]:
    """Take the chunk as `claim_chunk` does and, if it is small, other small ones along; return all, in order of id.

    Together they have `room` reviews at most, each chunk half as many. Those taken along are due chunks whose attempts
    never went wrong, of the same model, ordered precision and way to read long texts, and of the same priority or a
    higher one: for lower ones the chunk would have to wait.
    """
    taken = take_free(connection, [chunk_id], owner, lease_s)
    if taken and _may_lead(taken[0], room):
        # Chosen before any job is locked, since all jobs are locked in order of id.
        along = _companions(connection, taken[0], room)
        if along:
            connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(lead_id=chunk_id))
            taken += take_free(connection, along, owner, lease_s, chunk_id)
    return start_claims(connection, owner, taken)


def _may_lead(row: Any, room: int) -> bool:
    return not (row.alone or row.errors or row.deaths) and _is_small(len(row.review_ids), room)


def _is_small(size: Any, room: int) -> Any:
    # Put so that the index on the size serves.
    return size <= room // 2


def _companions(connection: Connection, lead: Any, room: int) -> list[int]:
    """Ids of the chunks to take along, locked: the higher priorities first, then the oldest."""
    precision = Job.params["precision"].as_string()
    # Jobs of before this could be asked for were cut.
    reading = func.coalesce(Job.params["long"].as_string(), TRUNCATE)
    ordered = precision.label("precision"), reading.label("reading")
    columns = (Job.kind, Job.state, Job.model_id, Job.priority, *ordered)
    job = connection.execute(select(*columns).where(Job.id == lead.job_id)).one()
    if job.kind != "score" or job.state == "cancelled":
        return []
    left = room - len(lead.review_ids)
    found = connection.execute(
        select(Chunk.id, Chunk.size)
        .join(Job, Job.id == Chunk.job_id)
        .where(is_due(), _is_small(Chunk.size, room))
        .where(Chunk.errors == 0, Chunk.deaths == 0, Chunk.alone.is_(False))
        .where(Job.kind == "score", Job.model_id == job.model_id, precision.is_not_distinct_from(job.precision))
        .where(reading == job.reading)
        .where(Job.state.in_(("pending", "running")), rank() <= PRIORITIES.index(job.priority))
        .order_by(rank(), Chunk.id)
        .limit(left)
        # What another worker takes at this moment is not waited for.
        .with_for_update(of=Chunk, skip_locked=True)
    )
    chosen = []
    for row in found.all():
        if row.size <= left:
            chosen.append(row.id)
            left -= row.size
    return chosen
