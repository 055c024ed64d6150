"""Which chunks the doorbell must be rung for again, because their message was lost.

A message can be lost with Redis, with a producer that died before it rang, or with a worker that died before
it claimed. A retry that has come due, and a lease that ran out, never had one. All show in the same two ways:
SQL has a chunk that anybody may claim, and either no message waits in its queue, or one that was rung after it
has been claimed already (messages of one priority are served in order, so its own must have been served too).
"""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from db.claims import is_free
from db.clock import utc_now
from db.tables import Chunk, Job

#: A chunk rung less than this ago is not called lost: its message is on its way to the queue, or between
#: the queue and the claim.
GRACE_S = 2.0


class Ring(NamedTuple):
    """What a doorbell message says, and what decides its queue and its place there."""

    chunk_id: int
    kind: str
    priority: str


def lost_chunks(connection: Connection, kind: str, priority: str, *, queue_is_dry: bool, limit: int) -> list[Ring]:
    """Free chunks of that kind and priority whose message was lost, the oldest first."""
    found = connection.scalars(_lost(kind, priority, queue_is_dry).order_by(Chunk.id).limit(limit))
    return [Ring(chunk_id, kind, priority) for chunk_id in found]


def note_rings(connection: Connection, rings: list[Ring]) -> list[Ring]:
    """Write down that these chunks are rung now; return those that nobody else rang or took meanwhile."""
    ids = [ring.chunk_id for ring in rings]
    # In order of id, as every writer of several chunks does, so that two sweeps cannot wait for each other.
    chosen = select(Chunk.id).where(Chunk.id.in_(ids), is_free(), _is_old()).order_by(Chunk.id)
    locked = chosen.with_for_update(skip_locked=True)
    noted = connection.scalars(update(Chunk).where(Chunk.id.in_(locked)).values(rung_at=utc_now()).returning(Chunk.id))
    mine = set(noted)
    return [ring for ring in rings if ring.chunk_id in mine]


def _lost(kind: str, priority: str, queue_is_dry: bool) -> Any:
    alike = and_(Job.kind == kind, Job.priority == priority)
    lost = select(Chunk.id).join(Job, Job.id == Chunk.job_id).where(is_free(), _is_old(), alike)
    if queue_is_dry:
        return lost
    # A chunk that was taken along with another is worked on, but its own message may still wait.
    is_served = and_(Chunk.state == "leased", or_(Chunk.lead_id.is_(None), Chunk.lead_id == Chunk.id))
    served = select(func.max(Chunk.rung_at)).join(Job, Job.id == Chunk.job_id).where(is_served, alike)
    return lost.where(Chunk.rung_at < served.scalar_subquery())


def _is_old() -> ColumnElement[bool]:
    return Chunk.rung_at < utc_now(-GRACE_S)
