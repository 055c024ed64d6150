"""Running again what failed of a job, and only that: failed chunks whole, failed reviews in chunks of their own."""

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from db.clock import utc_now
from db.deletion import lock_beside_deletions
from db.dialect import is_one_of
from db.errors import JobCancelled, JobPruned
from db.jobs import FINAL_STATES, PRUNED, add_chunk, job_status
from db.notifications import notify_again
from db.rings import Ring
from db.tables import Chunk, Failure, Job

#: Reviews of one new chunk.
_ROWS_A_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Failed:
    """What of a job failed: whole chunks and single reviews, which can be run again, and rows that cannot.

    `unread` rows were refused while the source was read.
    """

    chunks: int
    rows: int
    unread: int

    @property
    def can_run_again(self) -> bool:
        """Whether a retry would run anything."""
        return self.chunks > 0 or self.rows > 0


@dataclass(frozen=True, slots=True)
class Retried:
    """What will be run again: whole chunks, single rows, and the rings that tell the workers."""

    chunks: int
    rows: int
    rings: list[Ring] = field(default_factory=list)


def what_failed(connection: Connection, job_id: int) -> Failed:
    """Count what of the job failed so far."""
    chunks = select(func.count()).where(Chunk.job_id == job_id, Chunk.state == "failed")
    rows = select(func.count(Failure.review_id.distinct())).where(*_failed_alone(job_id))
    unread = select(Job.rejected).where(Job.id == job_id)
    return Failed(*(connection.scalar(count) or 0 for count in (chunks, rows, unread)))


def retry_job(connection: Connection, job_id: int) -> Retried:
    """Set the job's failed chunks and failed reviews to pending again. Rows that could not be read stay failed.

    A job that is over begins anew as pending; one that still runs just has more to do.
    Raises UnknownJob, JobCancelled and JobPruned.
    """
    lock_beside_deletions(connection)
    # Against a worker that ends the job's last chunk just now, and a person who cancels it; see settle_job.
    connection.execute(select(Job.id).where(Job.id == job_id).with_for_update(key_share=True))
    check_retriable(connection, job_id)
    kind, priority = connection.execute(select(Job.kind, Job.priority).where(Job.id == job_id)).one()
    failed_chunks = _reopen_chunks(connection, job_id)
    rows = _take_out_failed_rows(connection, job_id)
    chunk_ids = [*failed_chunks, *_add_chunks(connection, job_id, rows)]
    if chunk_ids:
        _begin_anew(connection, job_id)
    rings = [Ring(chunk_id, kind, priority) for chunk_id in chunk_ids]
    return Retried(len(failed_chunks), len(rows), rings)


def check_retriable(connection: Connection, job_id: int) -> None:
    """Raise UnknownJob; JobCancelled, for what was cancelled did not fail; or JobPruned."""
    job = job_status(connection, job_id)
    if PRUNED in job.params:
        raise JobPruned(f"job {job_id} was pruned, and cannot be run again; score its source again")
    if job.state == "cancelled":
        raise JobCancelled(
            f"job {job_id} was cancelled; score its source again, and what it had scored by then is reused"
        )


def _begin_anew(connection: Connection, job_id: int) -> None:
    """Set a job that is over to pending, to end, and be told of, once more."""
    is_over = (Job.id == job_id, Job.state.in_(FINAL_STATES))
    begun = connection.execute(update(Job).where(*is_over).values(state="pending", error=None, finished_at=None))
    if begun.rowcount:
        notify_again(connection, job_id)


def _failed_alone(job_id: int) -> tuple[ColumnElement[bool], ...]:
    return Failure.job_id == job_id, Failure.stage == "score", Failure.review_id.is_not(None)


def _reopen_chunks(connection: Connection, job_id: int) -> list[int]:
    reopened = connection.scalars(
        update(Chunk)
        .where(Chunk.job_id == job_id, Chunk.state == "failed")
        .values(state="pending", errors=0, deaths=0, failed=0, error=None, next_attempt_at=None, rung_at=utc_now())
        .returning(Chunk.id)
    )
    return sorted(reopened)


def _take_out_failed_rows(connection: Connection, job_id: int) -> list[int]:
    """Take the reviews that failed alone out of the job's done chunks; return their ids, one a row."""
    where = _failed_alone(job_id)
    failed = {id_ for id_ in connection.scalars(select(Failure.review_id).where(*where)) if id_ is not None}
    chunks = connection.execute(
        select(Chunk.id, Chunk.review_ids).where(Chunk.job_id == job_id, Chunk.state == "done", Chunk.failed > 0)
    ).all()
    taken: list[int] = []
    for chunk_id, review_ids in chunks:
        again = [id_ for id_ in review_ids if id_ in failed]
        kept = [id_ for id_ in review_ids if id_ not in failed]
        counts = {"size": len(kept), "failed": Chunk.failed - len(again), "review_ids": kept}
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(counts))
        taken += again
    connection.execute(delete(Failure).where(*where, is_one_of(connection, Failure.review_id, taken)))
    return taken


def _add_chunks(connection: Connection, job_id: int, review_ids: list[int]) -> list[int]:
    parts = [review_ids[at : at + _ROWS_A_CHUNK] for at in range(0, len(review_ids), _ROWS_A_CHUNK)]
    return [add_chunk(connection, job_id, part) for part in parts]
