"""Running again what failed of a job, and only that: failed chunks whole, failed reviews in chunks of their own."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, update

from db.clock import utc_now
from db.dialect import is_one_of
from db.errors import JobCancelled
from db.jobs import JobStatus, add_chunk, job_status
from db.rings import Ring
from db.tables import Chunk, Failure, Job

#: Reviews of one new chunk.
_ROWS_A_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Retried:
    """What will be run again: whole chunks, single rows, and the rings that tell the workers."""

    chunks: int
    rows: int
    rings: list[Ring] = field(default_factory=list)


def retry_job(connection: Connection, job_id: int) -> Retried:
    """Set the job's failed chunks and failed reviews to pending again. Rows that could not be read stay failed.

    Raises UnknownJob and JobCancelled.
    """
    job = check_retriable(connection, job_id)
    # Against a worker that ends the job's last chunk just now; see settle_job.
    connection.execute(select(Job.id).where(Job.id == job_id).with_for_update(key_share=True))
    failed_chunks = _reopen_chunks(connection, job_id)
    rows = _take_out_failed_rows(connection, job_id)
    new_chunks = _add_chunks(connection, job_id, rows)
    chunk_ids = [*failed_chunks, *new_chunks]
    if chunk_ids:
        reopened = {"state": "pending", "error": None, "finished_at": None}
        connection.execute(update(Job).where(Job.id == job_id).values(reopened))
    rings = [Ring(chunk_id, job.kind, job.priority) for chunk_id in chunk_ids]
    return Retried(len(failed_chunks), len(rows), rings)


def check_retriable(connection: Connection, job_id: int) -> JobStatus:
    """How the job stands. Raises UnknownJob, and JobCancelled: what was cancelled did not fail."""
    job = job_status(connection, job_id)
    if job.state == "cancelled":
        raise JobCancelled(
            f"job {job_id} was cancelled; score its source again, and what it had scored by then is reused"
        )
    return job


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
    where = (Failure.job_id == job_id, Failure.stage == "score", Failure.review_id.is_not(None))
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
