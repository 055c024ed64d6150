"""Notifications are due at a job's end, held by one process at a time, and end once."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from db.claims import claim_chunk, fail_chunk, finish_chunk
from db.clock import utc_now
from db.database import Database
from db.jobs import NewJob as NewJobFields
from db.jobs import RejectedRow, cancel_job, create_job, settle_job
from db.notifications import (
    MAX_ATTEMPTS,
    Delivery,
    claim_notification,
    is_any_due,
    note_not_sent,
    note_sent,
    notifications_of,
    wait_s,
)
from db.retry import retry_job
from db.tables import Notification

NewJob = Callable[..., tuple[int, list[int]]]
URL = "https://example.org/hook"


def claim(database: Database, owner: str = "me", lease_s: float = 60.0) -> Delivery | None:
    with database.write() as connection:
        return claim_notification(connection, owner, lease_s)


def fail(database: Database, job_id: int, chunk_id: int) -> None:
    with database.write() as connection:
        fail_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), "the files are gone")


def make_due(database: Database) -> None:
    """Let the wait for the next attempt, and the lease of whoever holds it, be over."""
    with database.write() as connection:
        past = {"next_attempt_at": utc_now(-1), "lease_expires_at": utc_now(-1)}
        connection.execute(update(Notification).where(Notification.state == "pending").values(past))


def rows(database: Database) -> list[tuple]:
    columns = (Notification.state, Notification.attempts, Notification.status_code, Notification.last_error)
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns).order_by(Notification.id))]


@pytest.fixture
def ended(database: Database, new_job: NewJob) -> int:
    """A job of two reviews that was scored to its end."""
    job_id, (chunk_id,) = new_job(notify=URL)
    with database.write() as connection:
        finish_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), scored=2)
        settle_job(connection, job_id)
    return job_id


def test_it_is_due_when_the_job_has_ended_and_tells_how(database: Database, new_job: NewJob) -> None:
    job_id, (first, second) = new_job(chunks=2, notify=URL)
    assert claim(database) is None
    with database.write() as connection:
        finish_chunk(connection, claim_chunk(connection, first, "me", 60), scored=1, failed=1)
        settle_job(connection, job_id)
    assert claim(database) is None
    with database.write() as connection:
        finish_chunk(connection, claim_chunk(connection, second, "me", 60), reused=2)
        settle_job(connection, job_id)
        assert is_any_due(connection)
    delivery = claim(database)
    assert delivery is not None
    assert (delivery.url, delivery.attempt, len(delivery.delivery_id)) == (URL, 1, 32)
    counts = ("job_id", "state", "total", "scored", "reused", "failed")
    assert [delivery.outcome[name] for name in counts] == [job_id, "done", 4, 1, 2, 1]
    assert delivery.job.finished_at is not None


@pytest.mark.parametrize("end", ["failed", "cancelled", "done"])
def test_every_end_is_told(database: Database, new_job: NewJob, end: str) -> None:
    if end == "done":
        with database.write() as connection:
            create_job(
                connection, NewJobFields("score", {}, [], rejected=[RejectedRow(1, None, "no text")], notify=URL)
            )
    else:
        job_id, (chunk_id,) = new_job(notify=URL)
        if end == "failed":
            fail(database, job_id, chunk_id)
        else:
            with database.write() as connection:
                cancel_job(connection, job_id)
    delivery = claim(database)
    assert delivery is not None
    assert delivery.outcome["state"] == end


def test_a_job_that_nobody_wants_to_hear_of_has_none(database: Database, new_job: NewJob) -> None:
    job_id, _ = new_job()
    with database.write() as connection:
        cancel_job(connection, job_id)
    assert claim(database) is None
    assert rows(database) == []


@pytest.mark.usefixtures("ended")
def test_of_many_claimants_one_wins(database: Database) -> None:
    together = threading.Barrier(4)
    won: list[Delivery | None] = []

    def take() -> None:
        together.wait()
        won.append(claim(database))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in won if one is not None]) == 1


def test_one_that_was_sent_is_never_due_again(database: Database, ended: int) -> None:
    delivery = claim(database)
    with database.write() as connection:
        assert note_sent(connection, delivery, 204)
    make_due(database)
    assert claim(database) is None
    with database.read() as connection:
        (status,) = notifications_of(connection, ended)
    assert (status.state, status.attempts, status.status_code, status.was_tried) == ("sent", 1, 204, True)
    assert status.sent_at is not None


@pytest.mark.usefixtures("ended")
def test_a_refusal_is_tried_again_after_its_wait_and_under_the_same_id(database: Database) -> None:
    first = claim(database)
    with database.write() as connection:
        note_not_sent(connection, first, "answered 503", 503)
    assert rows(database) == [("pending", 1, 503, "answered 503")]
    assert claim(database) is None
    with database.read() as connection:
        due_at = connection.scalar(select(Notification.next_attempt_at))
        now = connection.scalar(select(utc_now()))
    assert 0 < (due_at - now).total_seconds() <= 10
    make_due(database)
    second = claim(database)
    assert (second.attempt, second.delivery_id, second.outcome) == (2, first.delivery_id, first.outcome)


@pytest.mark.usefixtures("ended")
def test_an_attempt_that_lost_its_lease_ends_nothing(database: Database) -> None:
    dead = claim(database, "dead")
    assert claim(database, "heir") is None
    make_due(database)
    heir = claim(database, "heir")
    assert (heir.delivery_id, heir.attempt) == (dead.delivery_id, 2)
    with database.write() as connection:
        assert not note_not_sent(connection, dead, "answered 410", 410, final=True)
        assert note_sent(connection, heir, 200)
        assert not note_sent(connection, dead, 299)
    assert rows(database) == [("sent", 2, 200, None)]


@pytest.mark.usefixtures("ended")
def test_the_last_attempt_or_a_receiver_that_is_gone_ends_it(database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(Notification).values(attempts=MAX_ATTEMPTS - 2))
    last_but_one = claim(database)
    with database.write() as connection:
        note_not_sent(connection, last_but_one, "answered 500", 500)
    assert rows(database) == [("pending", MAX_ATTEMPTS - 1, 500, "answered 500")]
    make_due(database)
    last = claim(database)
    with database.write() as connection:
        note_not_sent(connection, last, "answered 500", 500)
    make_due(database)
    assert rows(database) == [("failed", MAX_ATTEMPTS, 500, "answered 500")]
    assert claim(database) is None


@pytest.mark.usefixtures("ended")
def test_gone_is_final(database: Database) -> None:
    delivery = claim(database)
    with database.write() as connection:
        note_not_sent(connection, delivery, "answered 410", 410, final=True)
    assert rows(database) == [("failed", 1, 410, "answered 410")]


def test_waits_double_up_to_an_hour_and_the_last_attempt_is_within_a_day() -> None:
    waits = [wait_s(attempt) for attempt in range(1, MAX_ATTEMPTS)]
    assert waits[:4] == [10, 20, 40, 80]
    assert (waits[8], waits[9], waits[-1]) == (2560, 3600, 3600)
    assert 23 * 3600 < sum(waits) < 24 * 3600


def test_a_job_that_runs_again_is_told_of_again_under_another_id(database: Database, new_job: NewJob) -> None:
    job_id, (chunk_id,) = new_job(notify=URL)
    fail(database, job_id, chunk_id)
    first = claim(database)
    with database.write() as connection:
        note_sent(connection, first, 200)
        retry_job(connection, job_id)
    assert claim(database) is None
    with database.write() as connection:
        finish_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), scored=2)
        settle_job(connection, job_id)
    second = claim(database)
    assert (first.outcome["state"], second.outcome["state"], second.attempt) == ("failed", "done", 1)
    assert first.delivery_id != second.delivery_id
    with database.write() as connection:
        note_sent(connection, second, 200)
    assert [row[0] for row in rows(database)] == ["sent", "sent"]
    assert claim(database) is None


def test_an_end_that_nobody_was_told_of_gives_way_to_the_next(database: Database, new_job: NewJob) -> None:
    untried, (chunk_id,) = new_job(notify=URL)
    fail(database, untried, chunk_id)
    with database.write() as connection:
        retry_job(connection, untried)
    assert rows(database) == [("pending", 0, None, None)]
    fail(database, untried, chunk_id)
    # Taken, perhaps posted, and not ended yet: what it told is not what the next end is.
    held = claim(database)
    with database.write() as connection:
        retry_job(connection, untried)
        assert not note_sent(connection, held, 200)
    assert rows(database) == [
        ("failed", 1, None, "the job was run again before this was taken"),
        ("pending", 0, None, None),
    ]
    assert claim(database) is None


def test_a_job_that_still_runs_is_told_of_once(database: Database, new_job: NewJob) -> None:
    job_id, (failed, _) = new_job(chunks=2, notify=URL)
    fail(database, job_id, failed)
    with database.write() as connection:
        assert retry_job(connection, job_id).chunks == 1
    assert len(rows(database)) == 1
