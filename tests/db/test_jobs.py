"""Jobs are made whole or not at all, and tell how far they are."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, func, select

from db.database import Database
from db.errors import UnknownJob
from db.jobs import NewJob, RejectedRow, create_job, job_status, list_jobs, refused_rows
from db.tables import Chunk, Failure, Job

Make = Callable[..., tuple[int, list[int]]]


def test_a_job_counts_its_refused_rows(database: Database, new_job: Make) -> None:
    job_id, chunk_ids = new_job(chunks=3, rejected=[RejectedRow(7, None, "no text"), RejectedRow(9, "id", "too long")])
    with database.read() as connection:
        job = job_status(connection, job_id)
        failures = refused_rows(connection, job_id)
    assert (job.state, job.total, job.failed, job.chunks, len(chunk_ids)) == ("pending", 8, 2, 3, 3)
    assert job.model == "sentiment@1"
    assert failures[0] == {"row": 7, "external_id": None, "stage": "read", "reason": "no text"}


def test_a_job_of_refused_rows_only_is_done(database: Database) -> None:
    with database.write() as connection:
        job_id, _ = create_job(connection, NewJob("score", {}, [], rejected=[RejectedRow(2, None, "no text")]))
        job = job_status(connection, job_id)
    assert (job.state, job.total, job.failed) == ("done", 1, 1)


def test_an_error_while_making_it_leaves_nothing(database: Database) -> None:
    def make_half(connection: Connection) -> None:
        create_job(connection, NewJob("score", {}, [[1, 2]], rejected=[RejectedRow(2, None, "no text")]))
        raise RuntimeError

    with pytest.raises(RuntimeError), database.write() as connection:
        make_half(connection)
    with database.read() as connection:
        for table in (Job, Chunk, Failure):
            assert connection.scalar(select(func.count()).select_from(table)) == 0


def test_jobs_are_listed_newest_first(database: Database, new_job: Make) -> None:
    ids = [new_job()[0] for _ in range(3)]
    with database.read() as connection:
        assert [job.id for job in list_jobs(connection, 2)] == ids[:0:-1]


def test_an_unknown_job_is_an_error(database: Database, new_job: Make) -> None:
    with pytest.raises(UnknownJob, match="there are no jobs yet"), database.read() as connection:
        job_status(connection, 1)
    job_id, _ = new_job()
    with pytest.raises(UnknownJob, match=f"the newest is {job_id}"), database.read() as connection:
        job_status(connection, 99)
