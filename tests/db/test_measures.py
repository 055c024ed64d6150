"""How busy a job kept its devices, and how much of its batches was padding."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from db.claims import ChunkEnd, Effort, claim_chunk, finish_chunks
from db.database import Database
from db.jobs import settle_job
from db.measures import Measures, measure_job
from db.tables import Job

NewJob = Callable[..., tuple[int, list[int]]]


@pytest.fixture
def finished(database: Database, new_job: NewJob) -> Callable[..., int]:
    """A job of one chunk for each effort, that took so many seconds; returns its id."""

    def finish(*efforts: Effort, took_s: float = 10.0) -> int:
        job_id, chunk_ids = new_job(chunks=len(efforts))
        with database.write() as connection:
            for chunk_id, effort in zip(chunk_ids, efforts, strict=True):
                claim_chunk(connection, chunk_id, "me", 60)
                finish_chunks(connection, {chunk_id: ChunkEnd(scored=2, effort=effort)})
            settle_job(connection, job_id)
            started_at = connection.scalar(select(Job.started_at).where(Job.id == job_id))
            ended_at = started_at + timedelta(seconds=took_s)  # type: ignore[operator]
            connection.execute(update(Job).where(Job.id == job_id).values(finished_at=ended_at))
        return job_id

    return finish


@pytest.fixture
def measure(database: Database) -> Callable[[int], Measures]:
    def look(job_id: int) -> Measures:
        with database.read() as connection:
            return measure_job(connection, job_id)

    return look


def test_two_chunks_on_one_device_add_up(finished: Callable[..., int], measure: Callable[[int], Measures]) -> None:
    measures = measure(finished(Effort("cpu@here", 3.0, 80, 100), Effort("cpu@here", 6.5, 100, 100)))
    assert measures.devices == 1
    assert measures.device_busy == pytest.approx(0.95)
    assert measures.padding == pytest.approx(0.1)


def test_every_device_should_have_worked_all_the_time(
    finished: Callable[..., int], measure: Callable[[int], Measures]
) -> None:
    measures = measure(finished(Effort("gpu0@here", 9.0, 1, 1), Effort("gpu1@here", 3.0, 1, 1)))
    assert (measures.devices, measures.padding) == (2, 0.0)
    assert measures.device_busy == pytest.approx(0.6)


def test_processes_that_share_a_device_keep_it_no_more_than_busy(
    finished: Callable[..., int], measure: Callable[[int], Measures]
) -> None:
    assert measure(finished(Effort("cpu@here", 9.0, 1, 1), Effort("cpu@here", 8.0, 1, 1))).device_busy == 1.0


def test_where_nothing_was_inferred_nothing_is_told(
    database: Database, new_job: NewJob, finished: Callable[..., int], measure: Callable[[int], Measures]
) -> None:
    assert measure(finished(Effort())) == Measures(0, None, None)
    running, (first, _) = new_job(chunks=2)
    with database.write() as connection:
        claim_chunk(connection, first, "me", 60)
        finish_chunks(connection, {first: ChunkEnd(scored=2, effort=Effort("cpu@here", 1.0, 3, 4))})
    assert measure(running) == Measures(1, None, 0.25)
