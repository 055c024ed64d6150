"""Which chunks the doorbell must be rung for again, because their message was lost.

A message can be lost with Redis, with a producer that died before it rang, or with a worker that died before
it claimed. A retry that has come due, and a lease that ran out, never had one. As long as a message of that kind of
job is left, no chunk waits for its own: any that is heard serves the chunk whose turn it is (db.turns). That some are
missing shows when none is left: SQL then still has chunks that anybody may claim.
"""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, select, update

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


def unrung_chunks(connection: Connection, kind: str, limit: int) -> list[Ring]:
    """Free chunks of that kind of job that were not rung just now, the oldest first."""
    free = select(Chunk.id, Job.kind, Job.priority).join(Job, Job.id == Chunk.job_id)
    found = connection.execute(free.where(Job.kind == kind, is_free(), _is_old()).order_by(Chunk.id).limit(limit))
    return [Ring(*row) for row in found]


def note_rings(connection: Connection, rings: list[Ring]) -> list[Ring]:
    """Write down that these chunks are rung now; return those that nobody else rang or took meanwhile."""
    ids = [ring.chunk_id for ring in rings]
    # In order of id, as every writer of several chunks does, so that two sweeps cannot wait for each other.
    chosen = select(Chunk.id).where(Chunk.id.in_(ids), is_free(), _is_old()).order_by(Chunk.id)
    locked = chosen.with_for_update(skip_locked=True)
    noted = connection.scalars(update(Chunk).where(Chunk.id.in_(locked)).values(rung_at=utc_now()).returning(Chunk.id))
    mine = set(noted)
    return [ring for ring in rings if ring.chunk_id in mine]


def _is_old() -> ColumnElement[bool]:
    return Chunk.rung_at < utc_now(-GRACE_S)
