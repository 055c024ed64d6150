"""What waits for a worker, and for how long: the depth of each queue, in SQL, which is the truth about it."""

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, or_, select

from db.claims import is_due, ran_out
from db.clock import database_time
from db.tables import Chunk, Job

#: What a chunk that is not over may be: free for anybody, put off until a time, or under a lease.
WAITING, DELAYED, LEASED = BACKLOG_STATES = ("waiting", "delayed", "leased")


@dataclass(frozen=True, slots=True)
class Backlog:
    """The chunks of one kind of job and one priority in one of those states.

    `oldest_s` is how long ago, by the database's clock, the first of them was rung for: when its job was made or
    retried, or its message was found to be lost.
    """

    kind: str
    priority: str
    state: str
    chunks: int
    oldest_s: float


def backlog(connection: Connection) -> list[Backlog]:
    """All that is not over; a kind, priority and state without a chunk is left out."""
    is_free = or_(is_due(), ran_out())
    stage = case((is_free, WAITING), (Chunk.state == "pending", DELAYED), else_=LEASED).label("stage")
    # Said beforehand, for a database that is told twice what to group by must see that it is the same.
    open_chunks = (
        select(Job.kind, Job.priority, stage, Chunk.rung_at)
        .join(Job, Job.id == Chunk.job_id)
        .where(Chunk.state.in_(("pending", "leased")))
        .subquery()
    )
    group = (open_chunks.c.kind, open_chunks.c.priority, open_chunks.c.stage)
    found = connection.execute(select(*group, func.count(), func.min(open_chunks.c.rung_at)).group_by(*group)).all()
    now = database_time(connection)
    return [
        Backlog(kind, priority, state, chunks, max(0.0, (now - since).total_seconds()))
        for kind, priority, state, chunks, since in found
    ]
