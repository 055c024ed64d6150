"""The heartbeat keeps a claim alive, shows progress, and says when to stop."""

import threading
import time
from collections.abc import Sequence

import pytest
from sqlalchemy import Row, select

from db.claims import Claim, finish_chunk
from db.database import Database
from db.errors import LeaseLost
from db.jobs import cancel_job
from db.tables import Chunk
from worker.errors import StopRequested
from worker.lease import Heartbeat


def wait_until(true: object, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def chunks(database: Database) -> Sequence[Row]:
    with database.read() as connection:
        return connection.execute(select(Chunk.scored, Chunk.lease_expires_at).order_by(Chunk.id)).all()


def chunk(database: Database) -> Row:
    (one,) = chunks(database)
    return one


def test_it_renews_and_reports(database: Database, claim: Claim) -> None:
    before = chunk(database)
    with Heartbeat(database, [claim], 600, threading.Event(), time.monotonic()) as heartbeat:
        heartbeat.done = 1
        wait_until(lambda: chunk(database).scored == 1)
        heartbeat.check()
    assert chunk(database).lease_expires_at > before.lease_expires_at


def test_it_renews_a_lease_without_progress(database: Database, claim: Claim) -> None:
    before = chunk(database)
    with Heartbeat(database, [claim], 64, threading.Event(), time.monotonic()) as heartbeat:
        heartbeat._lease_s = 2
        wait_until(lambda: chunk(database).lease_expires_at != before.lease_expires_at)


def test_it_renews_all_that_is_held_together_and_each_tells_its_part(database: Database, claims: list[Claim]) -> None:
    expired_at = [one.lease_expires_at for one in chunks(database)]
    with Heartbeat(database, claims, 600, threading.Event(), time.monotonic()) as heartbeat:
        heartbeat.done = 3
        wait_until(lambda: chunks(database)[2].scored)
        heartbeat.check()
    # Half of all six reviews are inferred; which ones, nobody asks.
    renewed = chunks(database)
    assert renewed[1].scored == 1
    assert renewed[2].scored in (1, 2)
    assert all(one.lease_expires_at > before for one, before in zip(renewed, expired_at, strict=True))


def test_cancelling_the_job_ends_the_work(database: Database, claim: Claim) -> None:
    # A lease so long that it is not renewed in this test: a look finds out.
    with Heartbeat(database, [claim], 600, threading.Event(), time.monotonic()) as heartbeat:
        heartbeat.check()
        with database.write() as connection:
            cancel_job(connection, claim.job_id)
        wait_until(heartbeat._lost.is_set)
        with pytest.raises(LeaseLost):
            heartbeat.check()


def test_the_work_goes_on_until_the_last_chunk_is_lost(database: Database, claims: list[Claim]) -> None:
    with Heartbeat(database, claims, 600, threading.Event(), time.monotonic()) as heartbeat:
        for claim in claims[:2]:
            with database.write() as connection:
                cancel_job(connection, claim.job_id)
        wait_until(lambda: heartbeat._held == claims[2:])
        heartbeat.check()
        with database.write() as connection:
            cancel_job(connection, claims[2].job_id)
        wait_until(heartbeat._lost.is_set)


def test_without_a_database_the_lease_is_given_up_before_it_runs_out(claim: Claim) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/nowhere")
    began = time.monotonic()
    with Heartbeat(away, [claim], 2, threading.Event(), began) as heartbeat:
        heartbeat.check()
        wait_until(heartbeat._lost.is_set)
        with pytest.raises(LeaseLost):
            heartbeat.check()
    assert 2 * 0.8 < time.monotonic() - began < 4


def test_after_a_pause_the_lease_is_lost_before_any_thread_says_so(database: Database, claim: Claim) -> None:
    # As after SIGCONT: the clock has moved on, and nobody has renewed or looked yet.
    paused = Heartbeat(database, [claim], 60, threading.Event(), time.monotonic() - 60)
    with pytest.raises(LeaseLost):
        paused.check()
    with pytest.raises(LeaseLost):
        paused.commit(lambda connection: finish_chunk(connection, claim, scored=2))
    with database.read() as connection:
        assert connection.scalar(select(Chunk.state)) == "leased"


def test_a_commit_outlives_a_database_that_is_away(database: Database, claim: Claim) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/nowhere")
    heartbeat = Heartbeat(away, [claim], 60, threading.Event(), time.monotonic())
    back = threading.Timer(1.0, lambda: setattr(heartbeat, "_database", database))
    back.start()
    heartbeat.commit(lambda connection: finish_chunk(connection, claim, scored=2))
    with database.read() as connection:
        assert connection.scalar(select(Chunk.state)) == "done"


def test_a_worker_that_stops_gives_the_chunk_up(database: Database, claim: Claim) -> None:
    stopping = threading.Event()
    with Heartbeat(database, [claim], 60, stopping, time.monotonic()) as heartbeat:
        heartbeat.check()
        stopping.set()
        with pytest.raises(StopRequested):
            heartbeat.check()
