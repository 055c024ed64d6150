"""What a report tells of the work: the jobs, what failed in them, and how fast devices were."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from db.jobs import JobStatus, job_status
from db.report_scope import ReportScope
from db.tables import Chunk, Failure, Job

#: Of a reason so many characters tell it from others.
_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Work:
    """Rows of the scope's jobs; `rejected` are those of the failed that were refused while reading."""

    jobs: int
    total: int
    scored: int
    reused: int
    failed: int
    rejected: int


class Reason(NamedTuple):
    """Why rows failed, where (while reading or scoring), and how many; the id and the line of the first."""

    stage: str
    reason: str
    rows: int
    first_row: int | None
    first_id: str | None


@dataclass(frozen=True, slots=True)
class DeviceWork:
    """What a device did in the scope's jobs: reviews, seconds of computing, tokens, and the same with padding."""

    device: str
    reviews: int
    device_s: float
    tokens: int
    batch_tokens: int


def work(connection: Connection, scope: ReportScope) -> Work:
    """How many rows the scope's jobs read, and what became of them."""
    read = select(func.count(), _sum(Job.total), _sum(Job.rejected)).where(_of_scope(scope))
    jobs, total, rejected = connection.execute(read).one()
    done = select(_sum(Chunk.scored), _sum(Chunk.reused), _sum(Chunk.failed)).join(Job, Job.id == Chunk.job_id)
    scored, reused, failed = connection.execute(done.where(_of_scope(scope))).one()
    return Work(jobs, int(total), int(scored), int(reused), int(failed + rejected), int(rejected))


def newest_jobs(connection: Connection, scope: ReportScope, limit: int) -> list[JobStatus]:
    """The scope's newest jobs, newest first."""
    ids = connection.scalars(select(Job.id).where(_of_scope(scope)).order_by(Job.id.desc()).limit(limit)).all()
    return [job_status(connection, id_) for id_ in ids]


def reasons(connection: Connection, scope: ReportScope, limit: int) -> list[Reason]:
    """The most frequent reasons why rows failed, the most frequent first."""
    reason, count = func.substr(Failure.reason, 1, _REASON_CHARS).label("told"), func.count()
    found = (
        select(Failure.stage, reason, count, func.min(Failure.row), func.min(Failure.external_id))
        .join(Job, Job.id == Failure.job_id)
        .where(_of_scope(scope))
        .group_by(Failure.stage, reason)
        .order_by(count.desc(), Failure.stage, reason)
    )
    return [Reason(*row) for row in connection.execute(found.limit(limit))]


def device_work(connection: Connection, scope: ReportScope, limit: int) -> list[DeviceWork]:
    """The devices that computed longest for the scope's jobs, longest first."""
    seconds = func.sum(Chunk.device_s)
    found = (
        select(Chunk.device, func.sum(Chunk.scored), seconds, func.sum(Chunk.tokens), func.sum(Chunk.batch_tokens))
        .join(Job, Job.id == Chunk.job_id)
        .where(_of_scope(scope), Chunk.device.is_not(None), Chunk.device_s > 0)
        .group_by(Chunk.device)
        .order_by(seconds.desc(), Chunk.device)
    )
    rows = connection.execute(found.limit(limit))
    return [DeviceWork(str(device), int(n), s, int(tokens), int(padded)) for device, n, s, tokens, padded in rows]


def _sum(count: Any) -> ColumnElement[int]:
    return func.coalesce(func.sum(count), 0)


def _of_scope(scope: ReportScope) -> ColumnElement[bool]:
    if scope.job_id is not None:
        return Job.id == scope.job_id
    return (Job.kind == "score") & (Job.model_id == scope.model.id)
