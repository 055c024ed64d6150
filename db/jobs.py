"""Jobs: made whole or not at all, followed, and settled when their last chunk ends."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Select, String, Update, and_, case, cast, func, insert, or_, select, update

from db.clock import utc_now
from db.deletion import lock_beside_deletions
from db.dialect import as_list, is_given
from db.errors import UnknownJob
from db.tables import PRIORITIES, Chunk, Example, Failure, Job, Model, Notification

#: Rows of one INSERT: enough to be fast, few enough to keep memory flat.
_INSERT_ROWS = 5_000
#: Review ids of one INSERT of chunks, likewise: as numbers and as their JSON they take some 50 bytes each.
_INSERT_IDS = 100_000
FINAL_STATES = ("done", "failed", "cancelled")
#: Under this name `params` tells when results of a job were first deleted.
PRUNED = "pruned"


class RejectedRow(NamedTuple):
    """A row of the source that was refused while reading."""

    row: int
    external_id: str | None
    reason: str


class RejectedRows(Protocol):
    """Rows that were refused, however many: they are counted, and read once."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[RejectedRow]: ...


class LabelledReview(NamedTuple):
    """A training example: a stored review, its label, if it has one, and the split it serves in."""

    review_id: int
    label: str | None
    split: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """Everything a job starts with.

    `chunks` are runs of review ids in source order, cut as late as they are read; `notify` is told of its end.
    """

    kind: str
    params: dict[str, Any]
    chunks: Sequence[Sequence[int]]
    model_id: int | None = None
    priority: str = "normal"
    rejected: RejectedRows = ()
    examples: Sequence[LabelledReview] = field(default=())
    notify: str | None = None
    schedule_id: int | None = None


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How far a job is. `scored + reused + failed` reaches `total`; rows refused while reading are `failed`."""

    id: int
    kind: str
    state: str
    model_id: int | None
    model: str | None
    params: dict[str, Any]
    priority: str
    total: int
    scored: int
    reused: int
    failed: int
    chunks: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    schedule_id: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in FINAL_STATES


def create_job(connection: Connection, new: NewJob) -> tuple[int, list[int]]:
    """Store the job with its chunks, examples, refused rows and notification; return its id and its chunks' ids.

    All in the caller's one transaction, so that no reader ever sees half a job. A job whose every
    row was refused, or left out, has no chunks and is done at once.
    """
    lock_beside_deletions(connection)
    sizes = [len(ids) for ids in new.chunks]
    values = {
        "kind": new.kind,
        "model_id": new.model_id,
        "params": new.params,
        "priority": new.priority,
        "total": sum(sizes) + len(new.rejected),
        "rejected": len(new.rejected),
        "schedule_id": new.schedule_id,
    }
    job_id = connection.scalar(insert(Job).values(values).returning(Job.id))
    assert job_id is not None
    chunks = ({"job_id": job_id, "position": position, **_rows(ids)} for position, ids in enumerate(new.chunks))
    _insert_many(connection, Chunk, chunks, rows_at_once=max(1, _INSERT_IDS // max([1, *sizes])))
    _insert_many(connection, Failure, ({"job_id": job_id, "stage": "read", **row._asdict()} for row in new.rejected))
    _insert_many(connection, Example, ({"job_id": job_id, **example._asdict()} for example in new.examples))
    if new.notify is not None:
        connection.execute(insert(Notification).values(job_id=job_id, url=new.notify))
    settle_job(connection, job_id)
    ids = connection.scalars(select(Chunk.id).where(Chunk.job_id == job_id).order_by(Chunk.position))
    return job_id, list(ids)


def add_chunk(
    connection: Connection, job_id: int, review_ids: list[int], deaths: int = 0, *, alone: bool = False
) -> int:
    """Add a pending chunk at the end of the job; return its id."""
    last = select(func.coalesce(func.max(Chunk.position), -1)).where(Chunk.job_id == job_id).scalar_subquery()
    values = {"job_id": job_id, "position": last + 1, "deaths": deaths, "alone": alone}
    chunk_id = connection.scalar(insert(Chunk).values(**values, **_rows(review_ids)).returning(Chunk.id))
    assert chunk_id is not None
    return chunk_id


def settle_job(connection: Connection, job_id: int) -> None:
    """End the job if its last chunk has ended."""
    settle_jobs(connection, [job_id])


def settle_jobs(connection: Connection, job_ids: Collection[int]) -> None:
    """End those of the jobs whose last chunk has ended."""
    ids = {"ids": as_list(job_ids)}
    connection.execute(_locking(connection.dialect.name), ids).all()
    connection.execute(_settling(connection.dialect.name), ids)


@cache
def _locking(dialect: str) -> Select[int]:
    # The lock makes two transactions that end a job's last two chunks see one another. It is the weaker one
    # (FOR NO KEY UPDATE): both hold a key-share lock on the job for the predictions they inserted, and two
    # full locks would wait for each other. In order of id, for two that end chunks of the same jobs.
    return select(Job.id).where(is_given(dialect, Job.id, "ids")).order_by(Job.id).with_for_update(key_share=True)


@cache
def _settling(dialect: str) -> Update:
    of_job = select(Chunk.error).where(Chunk.job_id == Job.id).correlate(Job)
    failed, is_open = of_job.where(Chunk.state == "failed"), of_job.where(Chunk.state.in_(("pending", "leased")))
    ends = is_given(dialect, Job.id, "ids"), Job.state.not_in(FINAL_STATES), ~is_open.exists()
    return (
        update(Job)
        .where(*ends)
        .values(
            state=case((failed.exists(), "failed"), else_="done"),
            error=failed.limit(1).scalar_subquery(),
            finished_at=utc_now(),
        )
    )


def cancel_job(connection: Connection, job_id: int) -> bool:
    """End the job where it stands, keeping what was scored; return whether it was still going.

    Whoever holds one of its chunks finds the claim gone before the next batch.
    """
    # Chunks before the job, and in order of id, as a worker that ends some locks them: the other way round the
    # two would wait for each other.
    open_chunks = select(Chunk.id).where(Chunk.job_id == job_id, Chunk.state.in_(("pending", "leased")))
    released = {"lease_owner": None, "lease_expires_at": None, "lead_id": None, "next_attempt_at": None, "scored": 0}
    connection.execute(
        update(Chunk)
        .where(Chunk.id.in_(open_chunks.order_by(Chunk.id).with_for_update()))
        .values(state="cancelled", **released)
    )
    changed = connection.execute(
        update(Job)
        .where(Job.id == job_id, Job.state.not_in(FINAL_STATES))
        .values(state="cancelled", finished_at=utc_now())
    )
    return changed.rowcount == 1


def job_status(connection: Connection, job_id: int) -> JobStatus:
    """How far one job is. Raises UnknownJob."""
    row = connection.execute(_statuses().where(Job.id == job_id)).first()
    if row is None:
        newest = connection.scalar(select(func.max(Job.id)))
        known = f"the newest is {newest}" if newest else "there are no jobs yet"
        raise UnknownJob(f"there is no job {job_id}; {known}")
    return JobStatus(*row)


def list_jobs(connection: Connection, limit: int = 50) -> list[JobStatus]:
    """The newest jobs, newest first."""
    return [JobStatus(*row) for row in connection.execute(_statuses().order_by(Job.id.desc()).limit(limit))]


def count_active_jobs(connection: Connection) -> dict[str, int]:
    """How many jobs are not over, by their state; a state without a job is left out."""
    active = select(Job.state, func.count()).where(Job.state.in_(("pending", "running")))
    return dict(connection.execute(active.group_by(Job.state)).all())


def active_jobs(connection: Connection, limit: int) -> list[JobStatus]:
    """Jobs that are not over, those that run before those that wait, and then in the order that workers take them."""
    rank = case({name: number for number, name in enumerate(PRIORITIES)}, value=Job.priority)
    # The states are named, for an index to find them.
    active = _statuses().where(Job.state.in_(("pending", "running")))
    order = (case((Job.state == "running", 0), else_=1), rank, Job.id)
    return [JobStatus(*row) for row in connection.execute(active.order_by(*order).limit(limit))]


def refused_rows(connection: Connection, job_id: int, limit: int = 10) -> list[Any]:
    """The first failures of a job: row, external_id, stage and reason."""
    columns = (Failure.row, Failure.external_id, Failure.stage, Failure.reason)
    found = connection.execute(select(*columns).where(Failure.job_id == job_id).order_by(Failure.id).limit(limit))
    return [row._asdict() for row in found]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A chunk that did not go well, or has not yet: how far it is, and what was in its way last."""

    chunk: int
    state: str
    attempt: int
    errors: int
    deaths: int
    next_attempt_at: datetime | None
    error: str | None


def chunk_states(connection: Connection, job_id: int) -> dict[str, int]:
    """How many chunks of a job are in each state."""
    states = select(Chunk.state, func.count()).where(Chunk.job_id == job_id)
    return dict(connection.execute(states.group_by(Chunk.state).order_by(Chunk.state)).all())


def troubles(connection: Connection, job_id: int, limit: int = 10) -> list[Trouble]:
    """The first chunks of a job that failed, wait to be tried again, or lost a worker."""
    columns = (Chunk.position, Chunk.state, Chunk.attempt, Chunk.errors, Chunk.deaths, Chunk.next_attempt_at)
    went_wrong = or_(Chunk.error.is_not(None), and_(Chunk.deaths > 0, Chunk.state != "done"))
    found = connection.execute(
        select(*columns, Chunk.error).where(Chunk.job_id == job_id, went_wrong).order_by(Chunk.position).limit(limit)
    )
    return [Trouble(*row) for row in found]


def _statuses() -> Any:
    return select(
        Job.id,
        Job.kind,
        Job.state,
        Job.model_id,
        (Model.name + "@" + cast(Model.version, String)).label("model"),
        Job.params,
        Job.priority,
        Job.total,
        _of_chunks(func.sum(Chunk.scored)),
        _of_chunks(func.sum(Chunk.reused)),
        _of_chunks(func.sum(Chunk.failed)) + Job.rejected,
        _of_chunks(func.count()),
        Job.error,
        Job.created_at,
        Job.started_at,
        Job.finished_at,
        Job.schedule_id,
    ).outerjoin(Model, Model.id == Job.model_id)


def _of_chunks(total: Any) -> Any:
    return select(func.coalesce(total, 0)).where(Chunk.job_id == Job.id).correlate(Job).scalar_subquery()


def _rows(review_ids: Sequence[int]) -> dict[str, Any]:
    """The columns of a chunk that tell of its reviews."""
    first, last = min(review_ids, default=0), max(review_ids, default=0)
    return {"size": len(review_ids), "first_id": first, "last_id": last, "review_ids": list(review_ids)}


def _insert_many(
    connection: Connection, table: type, rows: Iterable[dict[str, Any]], rows_at_once: int = _INSERT_ROWS
) -> None:
    rows = iter(rows)
    while batch := list(islice(rows, rows_at_once)):
        connection.execute(insert(table), batch)
