"""A retry runs again what failed, and nothing else."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from db.claims import claim_chunk, fail_chunk, finish_chunk
from db.clock import utc_now
from db.database import Database
from db.errors import JobCancelled, UnknownJob
from db.jobs import RejectedRow, cancel_job, job_status, refused_rows, settle_job
from db.predictions import ScoreFailure, store_score_failures
from db.retry import Failed, retry_job, what_failed
from db.tables import Chunk, Job

NewJob = Callable[..., tuple[int, list[int]]]


def chunks(database: Database) -> list[tuple]:
    columns = (Chunk.position, Chunk.state, Chunk.size, Chunk.scored, Chunk.failed, Chunk.errors)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(Chunk.position))]


def finish_with_one_failure(database: Database, job_id: int, chunk_id: int) -> int:
    """End a chunk of two reviews: the first scored, the second a failure; returns the second's id."""
    with database.write() as connection:
        held = claim_chunk(connection, chunk_id, "me", 60)
        finish_chunk(connection, held, scored=1, failed=1)
        store_score_failures(connection, job_id, [ScoreFailure(held.review_ids[1], "1", "the model sneezed")])
        settle_job(connection, job_id)
    return held.review_ids[1]


def test_failed_chunks_are_pending_again_with_a_clean_slate(database: Database, new_job: NewJob) -> None:
    job_id, (good, bad) = new_job(chunks=2)
    with database.write() as connection:
        finish_chunk(connection, claim_chunk(connection, good, "me", 60), scored=2)
        fail_chunk(connection, claim_chunk(connection, bad, "me", 60), "the files are gone")
        assert job_status(connection, job_id).state == "failed"
    with database.write() as connection:
        retried = retry_job(connection, job_id)
        job = job_status(connection, job_id)
    assert (retried.chunks, retried.rows, [ring.chunk_id for ring in retried.rings]) == (1, 0, [bad])
    assert (job.state, job.error, job.finished_at, job.failed) == ("pending", None, None, 0)
    assert chunks(database) == [(0, "done", 2, 2, 0, 0), (1, "pending", 2, 0, 0, 0)]


def test_failed_reviews_get_a_chunk_of_their_own(database: Database, new_job: NewJob) -> None:
    job_id, (chunk_id,) = new_job(rejected=[RejectedRow(7, None, "no text")])
    failed = finish_with_one_failure(database, job_id, chunk_id)
    with database.write() as connection:
        retried = retry_job(connection, job_id)
        job = job_status(connection, job_id)
        held = claim_chunk(connection, retried.rings[0].chunk_id, "me", 60)
        left = refused_rows(connection, job_id)
    assert (retried.chunks, retried.rows) == (0, 1)
    assert held.review_ids == [failed]
    # The row that could not be read stays a failure, and every row is still counted once.
    assert [one["stage"] for one in left] == ["read"]
    assert (job.total, job.scored, job.failed, job.state) == (3, 1, 1, "pending")
    with database.write() as connection:
        finish_chunk(connection, held, scored=1)
        settle_job(connection, job_id)
        job = job_status(connection, job_id)
    assert (job.total, job.scored, job.failed, job.state) == (3, 2, 1, "done")


def test_without_failures_nothing_changes(database: Database, new_job: NewJob) -> None:
    job_id, (chunk_id,) = new_job()
    with database.write() as connection:
        finish_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), scored=2)
        settle_job(connection, job_id)
    with database.write() as connection:
        retried = retry_job(connection, job_id)
        assert (retried.chunks, retried.rows, retried.rings) == (0, 0, [])
        assert job_status(connection, job_id).state == "done"


def test_a_running_job_stays_running_while_what_failed_so_far_is_retried(database: Database, new_job: NewJob) -> None:
    job_id, (bad, held, _) = new_job(chunks=3)
    with database.write() as connection:
        fail_chunk(connection, claim_chunk(connection, bad, "me", 60), "oops")
        claim_chunk(connection, held, "other", 60)
        started_at = job_status(connection, job_id).started_at
    with database.write() as connection:
        assert retry_job(connection, job_id).chunks == 1
        job = job_status(connection, job_id)
    assert (job.state, job.started_at) == ("running", started_at)
    assert [row[1] for row in chunks(database)] == ["pending", "leased", "pending"]


def test_a_retried_job_keeps_its_first_start(database: Database, new_job: NewJob) -> None:
    job_id, (bad,) = new_job()
    with database.write() as connection:
        fail_chunk(connection, claim_chunk(connection, bad, "me", 60), "oops")
        long_ago = utc_now(-3600)
        connection.execute(update(Job).where(Job.id == job_id).values(started_at=long_ago))
        started_at = job_status(connection, job_id).started_at
        retry_job(connection, job_id)
    with database.write() as connection:
        claim_chunk(connection, bad, "me", 60)
        job = job_status(connection, job_id)
    assert (job.state, job.started_at) == ("running", started_at)


def test_what_failed_is_counted_by_what_a_retry_can_do(database: Database, new_job: NewJob) -> None:
    job_id, (whole, single, good) = new_job(chunks=3, rejected=[RejectedRow(7, None, "no text")])
    with database.read() as connection:
        assert what_failed(connection, job_id) == Failed(chunks=0, rows=0, unread=1)
    with database.write() as connection:
        fail_chunk(connection, claim_chunk(connection, whole, "me", 60), "oops")
        finish_chunk(connection, claim_chunk(connection, good, "me", 60), scored=2)
    finish_with_one_failure(database, job_id, single)
    with database.write() as connection:
        failed = what_failed(connection, job_id)
        retried = retry_job(connection, job_id)
        left = what_failed(connection, job_id)
    assert (failed, failed.can_run_again) == (Failed(chunks=1, rows=1, unread=1), True)
    assert (retried.chunks, retried.rows) == (failed.chunks, failed.rows)
    assert (left, left.can_run_again) == (Failed(chunks=0, rows=0, unread=1), False)


def test_what_cannot_be_retried(database: Database, new_job: NewJob) -> None:
    job_id, _ = new_job()
    with database.write() as connection:
        cancel_job(connection, job_id)
    with pytest.raises(JobCancelled, match="score its source again"), database.write() as connection:
        retry_job(connection, job_id)
    with pytest.raises(UnknownJob), database.write() as connection:
        retry_job(connection, 99)
