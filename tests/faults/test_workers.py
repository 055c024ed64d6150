"""Workers that die, hang, are told to stop, or meet what is not theirs."""

import os
import signal
import time
from typing import Any

import pytest
from sqlalchemy import select, update

from db.tables import Chunk
from tests.faults.conftest import Survived
from tests.faults.faulty_worker import HANGS
from tests.faults.team import ON_POSTGRESQL, ON_SQLITE, Team, stop
from tests.system import is_stopped, wait_until


def test_kill_9_in_mid_chunk(team: Team, survived: Survived) -> None:
    worker = team.worker()
    team.enqueue(team.write_long_reviews(1_000))
    os.kill(team.wait_until_mid_chunk(), signal.SIGKILL)
    job = team.wait_for_end()
    assert (job.state, job.scored, job.failed) == ("done", 1_000, 0)
    assert team.deaths() >= 1
    team.check_books()
    assert "worker_died" in stop(worker)
    survived("kill -9 of a worker in mid-chunk", "restarted by its supervisor; all 1,000 reviews scored once")


def test_a_zombie_wakes_after_its_lease(team: Team, survived: Survived) -> None:
    zombie = team.start("pause-before-commit", module="tests.faults.faulty_worker")
    team.enqueue(team.write_reviews(50))
    wait_until(lambda: is_stopped(zombie.pid))
    heir = team.worker()
    job = team.wait_for_end()
    assert (job.state, job.scored) == ("done", 50)
    assert team.attempts() == [2]
    before = team.predictions()
    zombie.send_signal(signal.SIGCONT)
    wait_until(lambda: "lease_lost" in zombie.said(), 20)
    assert "chunk_scored" not in zombie.said()
    assert team.predictions() == before
    team.check_books()
    stop(heir)
    zombie.kill()
    survived("SIGSTOP past the lease, SIGCONT at the commit", "the heir's work; the zombie's commit was refused by SQL")


def test_kill_9_of_a_worker_that_holds_many_small_jobs(
    team: Team, survived: Survived, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "2000")
    text = "number {} of the " + "wonderful and terrible " * 15
    jobs = [
        team.enqueue(team.write_reviews(300, f"{name}.csv", text + name)) for name in ("good", "bad", "fine", "dull")
    ]
    worker = team.worker()
    # Both tasks of the process claim at once: each leads some, or one leads all.
    wait_until(lambda: len(_in_company(team)) >= 2)
    in_company = _in_company(team)
    (pid,) = team.processes()
    os.kill(pid, signal.SIGKILL)
    for job_id in jobs:
        job = team.wait_for_end(job_id)
        assert (job.state, job.scored + job.reused) == ("done", 300)
        team.check_books(job_id)
    # Nobody can tell which of them it died of.
    assert {(row.attempt, row.deaths) for row in _chunks(team) if row.id in in_company} == {(2, 0)}
    assert "worker_died" in stop(worker)
    survived(
        f"kill -9 of a worker that held {len(in_company)} small jobs together",
        "all were done, each alone, and charged with no death",
    )


@ON_POSTGRESQL
def test_a_paused_worker_gives_up_by_its_own_clock(team: Team, survived: Survived) -> None:
    first = team.worker()
    team.enqueue(team.write_long_reviews(500))
    paused = team.wait_until_mid_chunk()
    team.pause(paused)
    second = team.worker()
    job = team.wait_for_end()
    assert (job.state, job.scored) == ("done", 500)
    os.kill(paused, signal.SIGCONT)
    wait_until(lambda: "lease_lost" in first.said(), 20)
    team.check_books()
    assert "worker_died" not in stop(first) + stop(second)
    survived(
        "SIGSTOP of a worker in mid-chunk, past its lease", "another worker scored the chunk; the first dropped it"
    )


@ON_SQLITE
def test_sigterm_in_mid_chunk(team: Team, survived: Survived) -> None:
    worker = team.worker()
    team.enqueue(team.write_long_reviews(1_000))
    team.wait_until_mid_chunk()
    began = time.monotonic()
    log = stop(worker)
    took_s = time.monotonic() - began
    assert took_s < 10
    assert "chunk_given_back" in log
    assert _states(team) <= {"pending", "done"}
    assert team.deaths() == 0
    heir = team.worker()
    job = team.wait_for_end()
    assert (job.state, job.scored) == ("done", 1_000)
    team.check_books()
    stop(heir)
    survived("SIGTERM in mid-chunk", f"exit 0 in {took_s:.1f} s; the lease was given back, the next worker went on")


@ON_SQLITE
def test_sigterm_while_a_model_is_loaded(team: Team, survived: Survived) -> None:
    worker = team.worker()
    team.enqueue(team.write_reviews(10))
    wait_until(lambda: "model_loading" in worker.said())
    began = time.monotonic()
    stop(worker)
    took_s = time.monotonic() - began
    assert took_s < 10
    assert _states(team) <= {"pending", "done"}
    survived("SIGTERM while a model is loaded", f"exit 0 in {took_s:.1f} s, no lease left behind")


@ON_SQLITE
@pytest.mark.parametrize("fault", ["hang-in-a-batch", "hang-in-the-streams"])
def test_sigterm_while_a_batch_never_ends(team: Team, survived: Survived, fault: str) -> None:
    # The lease is an hour: what another worker finds free was given back, and did not just run out.
    worker = team.start(fault, module="tests.faults.faulty_worker", REVIEWMILL_LEASE_S="3600")
    team.enqueue(team.write_reviews(10))
    wait_until(lambda: HANGS in worker.said())
    began = time.monotonic()
    log = stop(worker)
    took_s = time.monotonic() - began
    assert took_s < 10
    assert "worker_stopped_late" in log
    assert (_states(team), team.attempts(), team.deaths()) == ({"pending"}, [1], 0)
    heir = team.worker()
    assert team.wait_for_end().scored == 10
    team.check_books()
    stop(heir)
    survived(
        f"SIGTERM while a batch hangs ({fault})", f"exit 0 in {took_s:.1f} s; the lease was given back over its head"
    )


@ON_POSTGRESQL
def test_sigterm_while_a_batch_and_the_database_hang(team: Team, survived: Survived) -> None:
    worker = team.start("hang-in-a-batch", module="tests.faults.faulty_worker")
    team.enqueue(team.write_reviews(10))
    wait_until(lambda: HANGS in worker.said())
    with team.database.write() as connection:
        # Whoever gives the chunk back must wait for this transaction.
        connection.execute(update(Chunk).values(error="locked"))
        began = time.monotonic()
        log = stop(worker)
        took_s = time.monotonic() - began
    assert took_s < 10
    assert "worker_stopped_late" in log
    assert "chunk_given_back" not in log
    heir = team.worker()
    assert team.wait_for_end().scored == 10
    team.check_books()
    stop(heir)
    survived("SIGTERM while a batch and the database hang", f"exit 0 in {took_s:.1f} s; the lease ran out by itself")


@ON_SQLITE
def test_a_second_sigterm_stops_at_once(team: Team, survived: Survived) -> None:
    worker = team.start("pause-before-commit", module="tests.faults.faulty_worker")
    team.enqueue(team.write_long_reviews(1_000))
    wait_until(lambda: "chunk_claimed" in worker.said() and "model_loaded" not in worker.said())
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "worker_stops" in worker.said(), 10)
    assert worker.poll() is None
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 1
    took_s = time.monotonic() - began
    assert took_s < 2
    heir = team.worker()
    assert team.wait_for_end().scored == 1_000
    team.check_books()
    stop(heir)
    survived("a second SIGTERM", f"the process ended in {took_s:.1f} s; its lease ran out and the job was finished")


@ON_SQLITE
def test_kill_9_of_the_supervisor(team: Team, survived: Survived) -> None:
    worker = team.worker()
    team.enqueue(team.write_long_reviews(1_000))
    team.wait_until_mid_chunk()
    worker.kill()
    worker.wait()
    wait_until(lambda: not team.processes(), 15)
    assert "chunk_given_back" in worker.said()
    heir = team.worker()
    assert team.wait_for_end().scored == 1_000
    team.check_books()
    stop(heir)
    survived("kill -9 of the supervisor alone", "its worker gave the lease back and ended; the next one went on")


def _chunks(team: Team) -> list[Any]:
    columns = (Chunk.id, Chunk.state, Chunk.attempt, Chunk.deaths, Chunk.lead_id, Chunk.scored)
    with team.database.read() as connection:
        return list(connection.execute(select(*columns)))


def _in_company(team: Team) -> set[int]:
    """Chunks that are held together with others, and have begun inference."""
    held = (row for row in _chunks(team) if row.state == "leased" and row.scored > 0)
    return {row.id for row in held if row.lead_id is not None}


def _states(team: Team) -> set[str]:
    with team.database.read() as connection:
        return set(connection.scalars(Chunk.__table__.select().with_only_columns(Chunk.state)))
