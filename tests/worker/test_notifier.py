"""The notifier posts to a real server, signed, once where it is taken and again where it is not."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from db.claims import claim_chunk, fail_chunk, finish_chunk
from db.clock import utc_now
from db.database import Database
from db.jobs import NewJob, cancel_job, create_job, settle_job
from db.reviews import store_reviews
from db.tables import Notification
from tests.receiver import SECRET, Receiver, receiver
from tests.samples import SomeReview
from worker.notifier import Notifier

__all__ = ["receiver"]

EndJob = Callable[..., int]


@pytest.fixture
def notifier(database: Database) -> Notifier:
    return Notifier(database, "me", SECRET)


@pytest.fixture
def end_job(database: Database, receiver: Receiver) -> EndJob:
    """Make a scoring job that tells the receiver, and end it; returns its id."""

    def end(state: str = "done", url: str | None = None) -> int:
        with database.write() as connection:
            ids = store_reviews(connection, "f.csv", [SomeReview("1", "good"), SomeReview("2", "bad")])
            job_id, (chunk_id,) = create_job(connection, NewJob("score", {}, [ids], notify=url or receiver.url))
            if state == "cancelled":
                cancel_job(connection, job_id)
                return job_id
            claim = claim_chunk(connection, chunk_id, "me", 60)
            assert claim is not None
            if state == "failed":
                fail_chunk(connection, claim, "the files are gone")
            else:
                finish_chunk(connection, claim, scored=1, failed=1)
                settle_job(connection, job_id)
        return job_id

    return end


def make_due(database: Database) -> None:
    with database.write() as connection:
        past = {"next_attempt_at": utc_now(-1), "lease_expires_at": utc_now(-1)}
        connection.execute(update(Notification).where(Notification.state == "pending").values(past))


def stored(database: Database) -> tuple:
    columns = (Notification.state, Notification.attempts, Notification.status_code, Notification.last_error)
    with database.read() as connection:
        return tuple(connection.execute(select(*columns)).one())


def test_a_job_s_end_is_posted_signed_and_once(notifier: Notifier, receiver: Receiver, end_job: EndJob) -> None:
    job_id = end_job()
    assert notifier.post_next()
    assert not notifier.post_next()
    (told,) = receiver.told
    finished_at = datetime.fromisoformat(told.pop("finished_at"))
    assert finished_at.utcoffset() is not None
    assert told.pop("seconds") >= 0
    told.pop("reviews_per_second")
    counts = {"total": 2, "scored": 1, "reused": 0, "failed": 1}
    assert told == {"event": "job.done", "kind": "score", "job_id": job_id, "state": "done", **counts}
    assert stored(notifier.database) == ("sent", 1, 200, None)


@pytest.mark.parametrize(("state", "error"), [("failed", "the files are gone"), ("cancelled", None)])
def test_other_ends_are_told_too(
    notifier: Notifier, receiver: Receiver, end_job: EndJob, state: str, error: str | None
) -> None:
    end_job(state)
    assert notifier.post_next()
    (told,) = receiver.told
    assert (told["event"], told["state"], told.get("error")) == (f"job.{state}", state, error)


def test_refused_twice_then_taken(notifier: Notifier, receiver: Receiver, end_job: EndJob) -> None:
    receiver.answers = [503, 302, 204]
    end_job()
    assert notifier.post_next()
    assert stored(notifier.database) == ("pending", 1, 503, "answered 503")
    assert not notifier.post_next()
    make_due(notifier.database)
    assert notifier.post_next()
    assert stored(notifier.database) == ("pending", 2, 302, "answered 302; redirects are not followed")
    make_due(notifier.database)
    assert notifier.post_next()
    assert stored(notifier.database) == ("sent", 3, 204, None)
    assert len(receiver.told) == 3
    assert receiver.told[0] == receiver.told[1] == receiver.told[2]
    assert len(set(receiver.delivery_ids)) == 1


def test_a_receiver_that_is_gone_is_left_alone(notifier: Notifier, receiver: Receiver, end_job: EndJob) -> None:
    receiver.answers = [410]
    end_job()
    notifier.post_next()
    make_due(notifier.database)
    assert not notifier.post_next()
    assert stored(notifier.database) == ("failed", 1, 410, "answered 410")


def test_where_nobody_listens_it_is_tried_again(notifier: Notifier, end_job: EndJob) -> None:
    end_job(url="http://127.0.0.1:9/hook")
    assert notifier.post_next()
    state, attempts, status_code, error = stored(notifier.database)
    assert (state, attempts, status_code) == ("pending", 1, None)
    assert error.startswith("ConnectError: ")


def test_two_at_once_post_once(notifier: Notifier, receiver: Receiver, end_job: EndJob) -> None:
    end_job()
    together = threading.Barrier(4)
    posted: list[bool] = []

    def look() -> None:
        together.wait()
        posted.append(notifier.post_next())

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.told) == sum(posted) == 1


KILLED = """
import sys
from db.database import Database
from worker.notifier import Notifier
Notifier(Database(sys.argv[1]), "killed", sys.argv[2]).post_next()
"""


def test_a_process_killed_before_its_commit_posts_again_under_the_same_id(
    notifier: Notifier, receiver: Receiver, end_job: EndJob, database_url: str
) -> None:
    end_job()
    victims: list[subprocess.Popen[bytes]] = []
    receiver.before_answering = lambda: os.kill(victims[0].pid, signal.SIGKILL)
    victims.append(subprocess.Popen([sys.executable, "-c", KILLED, database_url, SECRET]))
    assert victims[0].wait(60) == -signal.SIGKILL
    receiver.before_answering = lambda: None
    assert len(receiver.told) == 1
    # Its lease still holds.
    assert not notifier.post_next()
    make_due(notifier.database)
    assert notifier.post_next()
    assert stored(notifier.database) == ("sent", 2, 200, None)
    assert receiver.told[0] == receiver.told[1]
    assert receiver.delivery_ids[0] == receiver.delivery_ids[1]


def test_two_jobs_have_two_delivery_ids(notifier: Notifier, receiver: Receiver, end_job: EndJob) -> None:
    jobs = [end_job(), end_job()]
    assert notifier.post_next()
    assert notifier.post_next()
    assert [told["job_id"] for told in receiver.told] == jobs
    assert len(set(receiver.delivery_ids)) == 2


def test_without_a_secret_it_waits_and_that_is_said_once(
    database: Database, receiver: Receiver, end_job: EndJob
) -> None:
    without = Notifier(database, "me", "")
    assert not without.post_next()
    end_job()
    with capture_logs() as logs:
        assert not without.post_next()
        assert not without.post_next()
    (said,) = logs
    assert (said["action"], said["log_level"]) == ("notify_without_secret", "warning")
    assert "REVIEWMILL_NOTIFY_SECRET" in said["event"]
    assert stored(database) == ("pending", 0, None, None)
    assert receiver.told == []


def test_a_user_and_a_password_reach_the_receiver_and_no_log(
    notifier: Notifier, receiver: Receiver, end_job: EndJob
) -> None:
    receiver.answers = [500, 200]
    end_job(url=receiver.url.replace("http://", "http://me:geheim@") + "?token=geheim")
    with capture_logs() as logs:
        notifier.post_next()
        make_due(notifier.database)
        notifier.post_next()
    assert receiver.authorizations == ["Basic bWU6Z2VoZWlt"] * 2  # RFC 7617: base64 of me:geheim
    assert [one["action"] for one in logs] == ["notify_failed", "notified"]
    assert logs[0]["url"] == receiver.url.replace("http://", "http://***@") + "?***"
    assert "geheim" not in str(logs)
    assert SECRET not in str(logs) + repr(notifier)


def test_it_goes_on_whatever_it_meets(notifier: Notifier, receiver: Receiver, end_job: EndJob) -> None:
    end_job(url="http://[")  # as nobody could have enqueued it
    end_job()
    stopping = threading.Event()
    receiver.before_answering = stopping.set
    thread = notifier.start(stopping)
    thread.join(30)
    assert not thread.is_alive()
    assert len(receiver.told) == 1
