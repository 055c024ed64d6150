"""Claims on both databases: one holder at a time, fenced by the attempt, by the database's clock."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier

import pytest
from sqlalchemy import select, text, update

from db.claims import (
    Claim,
    claim_chunk,
    fail_chunk,
    finish_chunk,
    give_back,
    postpone,
    release_dead,
    renew_leases,
    retry_later,
    still_held,
)
from db.clock import utc_now
from db.database import Database
from db.errors import LeaseLost
from db.jobs import add_chunk, cancel_job, job_status, settle_job
from db.predictions import Scored, store_predictions
from db.tables import Chunk, Job
from tests.samples import verdict

NewJob = Callable[..., tuple[int, list[int]]]
Take = Callable[..., Claim]


def chunk_of(database: Database, chunk_id: int) -> Chunk:
    with database.read() as connection:
        return connection.execute(select(*Chunk.__table__.c).where(Chunk.id == chunk_id)).one()


def let_lease_run_out(database: Database, chunk_id: int) -> None:
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(lease_expires_at=utc_now(-1)))


def test_a_claim_holds_the_chunk_and_starts_the_job(database: Database, new_job: NewJob, claim: Take) -> None:
    job_id, (chunk_id,) = new_job()
    held = claim(chunk_id)
    assert (held.attempt, held.kind, held.job_id, len(held.review_ids)) == (1, "score", job_id, 2)
    assert claim(chunk_id, "you") is None
    with database.read() as connection:
        job = job_status(connection, job_id)
    assert job.state == "running"
    assert job.started_at is not None


def test_of_many_claimants_one_wins(database: Database, new_job: NewJob, claim: Take) -> None:
    _, chunk_ids = new_job(chunks=8)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: claim(chunk_ids[n % 8], f"owner {n}"), range(40)))
    assert sorted(held.chunk_id for held in won if held) == sorted(chunk_ids)


def test_a_lease_that_ran_out_frees_the_chunk_and_fences_the_zombie(
    database: Database, new_job: NewJob, claim: Take
) -> None:
    _, (chunk_id,) = new_job()
    zombie = claim(chunk_id, "zombie")
    let_lease_run_out(database, chunk_id)
    heir = claim(chunk_id, "heir")
    assert heir.attempt == zombie.attempt + 1
    for act in (
        lambda c: finish_chunk(c, zombie, scored=2),
        lambda c: give_back(c, zombie),
        lambda c: retry_later(c, zombie, "oops", 1),
        lambda c: postpone(c, zombie, "oops", 1),
        lambda c: fail_chunk(c, zombie, "oops"),
    ):
        with pytest.raises(LeaseLost), database.write() as connection:
            act(connection)
    with database.write() as connection:
        assert still_held(connection, [zombie, heir]) == [heir]
        assert renew_leases(connection, [zombie], 500, 1.0) == []
    chunk = chunk_of(database, chunk_id)
    assert (chunk.state, chunk.lease_owner, chunk.scored) == ("leased", "heir", 0)


def test_renewing_moves_the_deadline_and_tells_progress(database: Database, new_job: NewJob, claim: Take) -> None:
    _, (chunk_id,) = new_job()
    held = claim(chunk_id, lease_s=5)
    before = chunk_of(database, chunk_id).lease_expires_at
    with database.write() as connection:
        assert renew_leases(connection, [held], 500, 0.5) == [held]
    after = chunk_of(database, chunk_id)
    assert 490 < (after.lease_expires_at - before).total_seconds() < 510
    assert after.scored == 1


def test_a_retry_waits_for_its_time_and_counts(database: Database, new_job: NewJob, claim: Take) -> None:
    _, (chunk_id,) = new_job()
    held = claim(chunk_id)
    with database.write() as connection:
        retry_later(connection, held, "the model was away", 3600)
    assert claim(chunk_id) is None
    assert chunk_of(database, chunk_id).error == "the model was away"
    with database.write() as connection:
        connection.execute(update(Chunk).values(next_attempt_at=utc_now(-1)))
    again = claim(chunk_id)
    assert (again.attempt, again.errors, again.deaths) == (2, 1, 0)


def test_what_is_put_off_waits_and_counts_for_nothing(database: Database, new_job: NewJob, claim: Take) -> None:
    _, (chunk_id,) = new_job()
    for _ in range(5):
        with database.write() as connection:
            postpone(connection, claim_chunk(connection, chunk_id, "me", 60), "the disk is full", 3600)
        assert claim(chunk_id) is None
        with database.write() as connection:
            connection.execute(update(Chunk).values(next_attempt_at=utc_now(-1)))
    held = claim(chunk_id)
    assert (held.attempt, held.errors, held.deaths) == (6, 0, 0)


def test_deaths_are_counted_and_what_the_dead_held_is_free(database: Database, new_job: NewJob, claim: Take) -> None:
    _, (first, second, third) = new_job(chunks=3)
    claim(first, "dead")
    claim(second, "dead")
    claim(third, "alive")
    with database.write() as connection:
        assert sorted(release_dead(connection, "dead")) == [first, second]
    assert claim(first, "heir").deaths == 1
    let_lease_run_out(database, first)
    assert claim(first, "heir").deaths == 2
    assert claim(third, "heir") is None
    assert chunk_of(database, third).deaths == 0


def test_a_claim_is_held_until_it_is_not(database: Database, new_job: NewJob, claim: Take) -> None:
    job_id, (chunk_id,) = new_job()
    held = claim(chunk_id)
    with database.write() as connection:
        assert still_held(connection, [held]) == [held]
        cancel_job(connection, job_id)
        assert still_held(connection, [held]) == []


def test_a_chunk_given_back_is_free_at_once(database: Database, new_job: NewJob, claim: Take) -> None:
    _, (chunk_id,) = new_job()
    held = claim(chunk_id)
    with database.write() as connection:
        give_back(connection, held)
    assert claim(chunk_id, "next").attempt == 2


def test_the_last_chunk_ends_the_job(database: Database, new_job: NewJob, claim: Take) -> None:
    job_id, chunk_ids = new_job(chunks=2)
    for number, chunk_id in enumerate(chunk_ids):
        held = claim(chunk_id)
        with database.write() as connection:
            finish_chunk(connection, held, scored=1, reused=1)
            settle_job(connection, job_id)
            state = job_status(connection, job_id)
        assert state.state == ("running" if number == 0 else "done")
    assert (state.scored, state.reused, state.failed, state.total) == (2, 2, 0, 4)
    assert isinstance(state.finished_at, datetime)


def test_two_transactions_that_end_the_last_two_chunks_end_the_job(
    database: Database, new_job: NewJob, claim: Take
) -> None:
    for _ in range(5):
        job_id, chunk_ids = new_job(chunks=2)
        claims = [claim(chunk_id) for chunk_id in chunk_ids]
        together = Barrier(2)

        def finish(held: Claim, job_id: int = job_id, together: Barrier = together) -> None:
            with database.write() as connection:
                finish_chunk(connection, held, scored=2)
                store_predictions(
                    connection, held.model_id, [Scored(id_, job_id, verdict(0.9)) for id_ in held.review_ids]
                )
                if not database.is_sqlite:  # which lets only one write at a time
                    together.wait(10)
                settle_job(connection, job_id)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(finish, claims))
        with database.read() as connection:
            assert job_status(connection, job_id).state == "done"


def test_a_failed_chunk_fails_the_job_with_its_reason(database: Database, new_job: NewJob, claim: Take) -> None:
    job_id, (chunk_id,) = new_job()
    with database.write() as connection:
        fail_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), "the files are gone")
        job = job_status(connection, job_id)
    assert (job.state, job.failed, job.error) == ("failed", 2, "the files are gone")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_cancelling_and_ending_a_chunk_do_not_wait_for_each_other(
    database: Database, new_job: NewJob, claim: Take
) -> None:
    job_id, chunk_ids = new_job(chunks=2)
    held = claim(chunk_ids[0])

    def cancel() -> None:
        with database.write() as connection:
            cancel_job(connection, job_id)

    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            finish_chunk(connection, held, scored=2)
            cancelled = pool.submit(cancel)
            wait_for_a_blocked_statement(database)
            settle_job(connection, job_id)
        cancelled.result(10)
    with database.read() as connection:
        job = job_status(connection, job_id)
    assert (job.state, job.scored) == ("cancelled", 2)


def wait_for_a_blocked_statement(database: Database) -> None:
    deadline = time.monotonic() + 10
    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while True:
        with database.read() as connection:
            if connection.scalar(blocked):
                return
        assert time.monotonic() < deadline, "nothing waits"


def test_cancelling_takes_the_chunk_from_its_holder(database: Database, new_job: NewJob, claim: Take) -> None:
    job_id, (chunk_id, other) = new_job(chunks=2)
    held = claim(chunk_id)
    with database.write() as connection:
        assert cancel_job(connection, job_id)
        assert not cancel_job(connection, job_id)
    with pytest.raises(LeaseLost), database.write() as connection:
        finish_chunk(connection, held, scored=2)
    assert claim(other) is None
    with database.read() as connection:
        assert connection.scalar(select(Job.state)) == "cancelled"


def test_a_chunk_added_while_its_job_is_cancelled_is_cancelled(
    database: Database, new_job: NewJob, claim: Take
) -> None:
    job_id, _ = new_job()
    with database.write() as connection:
        cancel_job(connection, job_id)
        added = add_chunk(connection, job_id, [1])
    assert claim(added) is None
    chunk = chunk_of(database, added)
    assert (chunk.state, chunk.lease_owner, chunk.lease_expires_at) == ("cancelled", None, None)
    with database.read() as connection:
        assert job_status(connection, job_id).state == "cancelled"
