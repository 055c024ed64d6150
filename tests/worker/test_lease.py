"""The heartbeat keeps a claim alive, shows progress, and says when to stop."""

import threading
import time

import pytest
from sqlalchemy import select

from db.claims import Claim
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


def chunk(database: Database) -> object:
    with database.read() as connection:
        return connection.execute(select(Chunk.scored, Chunk.lease_expires_at)).one()


def test_it_renews_and_reports(database: Database, claim: Claim) -> None:
    before = chunk(database)
    with Heartbeat(database, claim, 600, threading.Event()) as heartbeat:
        heartbeat.done = 1
        wait_until(lambda: chunk(database).scored == 1)
        heartbeat.check()
    assert chunk(database).lease_expires_at > before.lease_expires_at


def test_it_renews_a_lease_without_progress(database: Database, claim: Claim) -> None:
    before = chunk(database)
    with Heartbeat(database, claim, 64, threading.Event()) as heartbeat:
        heartbeat._lease_s = 2
        wait_until(lambda: chunk(database).lease_expires_at != before.lease_expires_at)


def test_cancelling_the_job_ends_the_work(database: Database, claim: Claim) -> None:
    with Heartbeat(database, claim, 2, threading.Event()) as heartbeat:
        with database.write() as connection:
            cancel_job(connection, claim.job_id)
        wait_until(heartbeat._lost.is_set)
        with pytest.raises(LeaseLost):
            heartbeat.check()


def test_without_a_database_the_lease_is_given_up_before_it_runs_out(claim: Claim) -> None:
    away = Database("postgresql://nobody@127.0.0.1:9/nowhere")
    began = time.monotonic()
    with Heartbeat(away, claim, 2, threading.Event()) as heartbeat:
        wait_until(heartbeat._lost.is_set)
    assert time.monotonic() - began > 2 * 0.8


def test_a_worker_that_stops_gives_the_chunk_up(database: Database, claim: Claim) -> None:
    stopping = threading.Event()
    with Heartbeat(database, claim, 60, stopping) as heartbeat:
        heartbeat.check()
        stopping.set()
        with pytest.raises(StopRequested):
            heartbeat.check()
