"""Whose turn it is: jobs of one priority share the workers fairly, a chunk at a time.

A message says that there is work; which chunk is worked on for it is decided here, when it is heard. Jobs of a higher
priority go first. Among those of one, that job goes first of which the fewest chunks are worked on now, then the one
that has waited longest since a chunk of it was taken, or since it was made. So on many workers each job has as many of
them as any other, and on one worker no job waits for more than one chunk of each other, however many those have and
whenever it came.

There are as many messages under way as free chunks, and any message serves any chunk of its kind of job: one that goes
before its turn by the order of the messages leaves its own to another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, exists, func, not_, or_, select
from sqlalchemy.orm import aliased

from db.claims import Claim, is_due, is_free, is_suspect, ran_out
from db.clock import utc_now
from db.tables import PRIORITIES, Chunk, Job


@dataclass(frozen=True, slots=True)
class Turn:
    """The chunk to be worked on next, locked until the transaction ends; a suspect must be worked on alone."""

    chunk_id: int
    is_suspect: bool


def whose_turn(connection: Connection, rung_id: int) -> Turn | None:
    """The free chunk whose turn it is, among those of the kind of job that the rung one belongs to; None if none is.

    Of a job, the first chunk goes first; but chunks that a worker has died of, or may have, when there are no others.
    """
    job_id = connection.scalar(_next_job(), {"rung_id": rung_id})
    if job_id is None:
        return None
    # Others may be taking all that the job has at this moment. That is not waited for: any chunk will do then.
    return _lock(connection, _next_of_job, job_id=job_id) or _lock(connection, _next_of_any, rung_id=rung_id)


def small_waiting(connection: Connection, beside: Claim, room: int) -> int | None:
    """The chunk, locked, of at most `room` reviews whose turn is next among jobs of which nothing is worked on.

    They are of the kind and of the priority of the claim beside which it is to be worked on, or of a higher one.
    """
    about = {"rung_id": beside.chunk_id, "rank": PRIORITIES.index(beside.priority), "room": room}
    return connection.scalar(_next_small(), about)


def rank() -> ColumnElement[int]:
    """Where a job's priority stands among all, 0 being the highest."""
    return case({name: number for number, name in enumerate(PRIORITIES)}, value=Job.priority)


def _lock(connection: Connection, next_chunk: Callable[[bool], Select[int]], **parameters: int) -> Turn | None:
    for suspects in (False, True):
        chunk_id = connection.scalar(next_chunk(suspects), parameters)
        if chunk_id is not None:
            return Turn(chunk_id, suspects)
    return None


# The statements are put together once: to do so for each claim would take several times as long as to run them.


@cache
def _next_job() -> Select[int]:
    mine = Chunk.job_id == Job.id
    # Two questions, each of which an index answers at the first chunk that it finds.
    has_free = or_(exists().where(mine, is_due()), exists().where(mine, ran_out()))
    at_work = select(func.count()).where(mine, Chunk.state == "leased", Chunk.lease_expires_at >= utc_now())
    order = (rank(), at_work.correlate(Job).scalar_subquery(), _waits_since(), Job.id)
    return select(Job.id).where(_may_go(), has_free).order_by(*order).limit(1)


@cache
def _next_of_job(suspects: bool) -> Select[int]:
    of_job = select(Chunk.id).where(Chunk.job_id == bindparam("job_id"), _is_free(suspects))
    return of_job.order_by(Chunk.position).limit(1).with_for_update(skip_locked=True)


@cache
def _next_of_any(suspects: bool) -> Select[int]:
    of_any = select(Chunk.id).join(Job, Job.id == Chunk.job_id).where(_may_go(), _is_free(suspects))
    return of_any.order_by(rank(), Chunk.id).limit(1).with_for_update(of=Chunk, skip_locked=True)


@cache
def _next_small() -> Select[int]:
    beside = aliased(Chunk)
    is_worked_on = exists().where(beside.job_id == Job.id, beside.state == "leased")
    small = select(Chunk.id).join(Job, Job.id == Chunk.job_id).where(_may_go(), _is_free(False), ~is_worked_on)
    may_pass = small.where(Chunk.size <= bindparam("room"), rank() <= bindparam("rank"))
    order = (rank(), _waits_since(), Chunk.id)
    return may_pass.order_by(*order).limit(1).with_for_update(of=Chunk, skip_locked=True)


def _is_free(suspects: bool) -> ColumnElement[bool]:
    # The states are said once more for SQLite, which else reads every chunk that the job ever had.
    is_open = Chunk.state.in_(("pending", "leased"))
    return and_(is_open, is_free(), is_suspect()) if suspects else and_(is_due(), not_(is_suspect()))


def _waits_since() -> ColumnElement[datetime]:
    return func.coalesce(Job.served_at, Job.created_at)


def _may_go() -> ColumnElement[bool]:
    """Whether a job is of the rung chunk's kind, and neither over nor cancelled."""
    kind = select(Job.kind).join(Chunk, Chunk.job_id == Job.id).where(Chunk.id == bindparam("rung_id"))
    return and_(Job.kind == kind.correlate(None).scalar_subquery(), Job.state.in_(("pending", "running")))
