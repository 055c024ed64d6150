"""Claiming chunks together: small ones, so that many small jobs cost hardly more than one large one, and those of a
job whose model is done with a full one in a moment.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, select, update

from db.claims import Claim, is_due, start_claims, take_free
from db.tables import PRIORITIES, TRUNCATE, Chunk, Job
from db.turns import rank


def claim_together(
    connection: Connection,
    chunk_id: int,
    owner: str,
    lease_s: float,
    room: int,
    stride: Callable[[int], int] = lambda _job_id: 1,
) -> list[Claim]:
    """Take the chunk as `claim_chunk` does, and others along; return all, in order of id.

    A small one takes other small ones along. Together they have `room` reviews at most, each chunk half as many. They
    are of the same model, ordered precision and way to read long texts, and of the same priority or a higher one: for
    lower ones the chunk would have to wait. A larger one takes the next of its own job along, `stride` of the job's id
    in all. All those taken along are due chunks whose attempts never went wrong.
    """
    taken = take_free(connection, [chunk_id], owner, lease_s)
    # Chosen before any job is locked, since all jobs are locked in order of id.
    if taken and (along := _along(connection, taken[0], room, stride)):
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(lead_id=chunk_id))
        taken += take_free(connection, along, owner, lease_s, chunk_id)
    return start_claims(connection, owner, taken)


def _along(connection: Connection, lead: Any, room: int, stride: Callable[[int], int]) -> list[int]:
    """Ids of the chunks to take along, locked."""
    if lead.alone or lead.errors or lead.deaths:
        return []
    if is_small(len(lead.review_ids), room):
        return _companions(connection, lead, room)
    more = stride(lead.job_id) - 1
    return list(connection.scalars(_next_of_job(), {"job_id": lead.job_id, "more": more})) if more else []


@cache
def _next_of_job() -> Select[int]:
    of_job = select(Chunk.id).where(Chunk.job_id == bindparam("job_id"), is_due(), *_never_went_wrong())
    return of_job.order_by(Chunk.position).limit(bindparam("more")).with_for_update(skip_locked=True)


def _never_went_wrong() -> tuple[Any, ...]:
    return Chunk.errors == 0, Chunk.deaths == 0, Chunk.alone.is_(False)


def is_small(size: Any, room: int) -> Any:
    """Whether a chunk of so many reviews, a number or a column, goes together with others of whatever jobs."""
    # Put so that the index on the size serves.
    return size <= room // 2


def _companions(connection: Connection, lead: Any, room: int) -> list[int]:
    """Small chunks of whatever jobs: of the higher priorities first, then the oldest."""
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
        .where(is_due(), is_small(Chunk.size, room))
        .where(*_never_went_wrong())
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
