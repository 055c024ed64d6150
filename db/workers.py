"""Which worker processes are alive, by the sign of life that each gives every few seconds.

All times are the database's, so that no machine's clock matters.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from db.clock import utc_now
from db.dialect import insert
from db.tables import Chunk, WorkerProcess

#: One that was not heard of for so long is dead, or cut off. It tells of itself a dozen times in it.
DEAD_AFTER_S = 60.0
#: Rows of the dead stay for a day, for whoever wants to know who died.
_FORGOTTEN_AFTER_S = 86_400.0


@dataclass(frozen=True, slots=True)
class SignOfLife:
    """What a worker process tells of itself: see the table `workers`."""

    owner: str
    host: str
    pid: int
    device: str
    queues: Sequence[str]
    engine: str
    models: Sequence[Mapping[str, Any]]
    version: str
    reviews_per_s: float
    busy: float


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A row of the table `workers`."""

    owner: str
    host: str
    pid: int
    device: str
    queues: list[str]
    engine: str
    models: list[dict[str, Any]]
    version: str
    reviews_per_s: float
    busy: float
    started_at: datetime
    seen_at: datetime


class HeldChunk(NamedTuple):
    """A chunk under work."""

    job_id: int
    chunk_id: int


def register_worker(connection: Connection, sign: SignOfLife) -> datetime:
    """Write down that this process works from now on; return the time of it. Forgets who died long ago."""
    connection.execute(delete(WorkerProcess).where(WorkerProcess.seen_at < utc_now(-_FORGOTTEN_AFTER_S)))
    return _write(connection, sign, {})


def renew_worker(connection: Connection, sign: SignOfLife, started_at: datetime) -> None:
    """Write down that it still works, and how; also where its row is gone."""
    _write(connection, sign, {"started_at": started_at})


def remove_worker(connection: Connection, owner: str) -> None:
    """It works no more."""
    connection.execute(delete(WorkerProcess).where(WorkerProcess.owner == owner))


def live_workers(connection: Connection) -> list[LiveWorker]:
    """The processes that were heard of lately, by device and then by age."""
    columns = [getattr(WorkerProcess, name) for name in LiveWorker.__slots__]
    is_alive = WorkerProcess.seen_at > utc_now(-DEAD_AFTER_S)
    order = (WorkerProcess.device, WorkerProcess.started_at, WorkerProcess.owner)
    return [LiveWorker(*row) for row in connection.execute(select(*columns).where(is_alive).order_by(*order))]


def held_chunks(connection: Connection) -> dict[str, list[HeldChunk]]:
    """The chunks under work, by who holds them; in the order of jobs and chunks."""
    held = select(Chunk.lease_owner, Chunk.job_id, Chunk.id).where(Chunk.state == "leased")
    by_owner: dict[str, list[HeldChunk]] = defaultdict(list)
    for owner, job_id, chunk_id in connection.execute(held.order_by(Chunk.job_id, Chunk.id)):
        by_owner[str(owner)].append(HeldChunk(job_id, chunk_id))
    return dict(by_owner)


def _write(connection: Connection, sign: SignOfLife, times: Mapping[str, datetime]) -> datetime:
    values = {**asdict(sign), "started_at": utc_now(), "seen_at": utc_now(), **times}
    statement = insert(connection, WorkerProcess).values(**values)
    written = statement.on_conflict_do_update(index_elements=["owner"], set_=values)
    started_at = connection.scalar(written.returning(WorkerProcess.started_at))
    assert started_at is not None
    return started_at
