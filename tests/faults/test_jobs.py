"""Jobs cancelled, submitted twice, half-enqueued, poisoned, or too large for the machine."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.jobs import cancel_job
from db.tables import Chunk, Failure, Job, Model, Prediction, Review, TokenBudget
from tests.faults.conftest import Survived
from tests.faults.faulty_worker import FITTING_TOKENS
from tests.faults.team import ON_POSTGRESQL, ON_SQLITE, Team, stop
from tests.poison import WORD, make_poisoned_checkpoint
from tests.system import Started, wait_until

#: A chunk and the attempt that held it.
Held = tuple[int, int]
SCORE = ("--text", "body", "--id", "key", "--model")


@ON_SQLITE
@pytest.mark.long
def test_cancel_with_eight_chunks_in_flight(team: Team, survived: Survived) -> None:
    # Leases so long that none runs out by itself.
    workers = [team.worker(REVIEWMILL_LEASE_S="120") for _ in range(4)]
    team.enqueue(team.write_long_reviews(20_000))
    wait_until(lambda: _in_flight(team) == (8, 4), 180)
    in_flight = _cancel_with_in_flight(team, 8)
    wait_until(lambda: _ended(workers) >= in_flight, 10)
    kept = team.count(Prediction)
    time.sleep(3)
    assert team.count(Prediction) == kept == team.status(1).scored
    assert _logged(workers, "lease_lost") == in_flight
    assert not _logged(workers, "chunk_scored") & in_flight
    team.check_books()
    for worker in workers:
        assert "worker_died" not in stop(worker)
    survived(
        "cancel with 8 chunks in flight on 4 workers",
        f"all 8 were let go; the {kept:,} committed reviews stay",
    )


@ON_POSTGRESQL
def test_cancel_takes_effect_within_a_batch(team: Team, survived: Survived) -> None:
    worker = team.worker()
    team.enqueue(team.write_long_reviews(6_000))
    team.wait_until_mid_chunk()
    team.command("jobs", "cancel", 1)
    ended = time.monotonic()
    wait_until(lambda: _logged([worker], "chunk_claimed") == _ended([worker]), 10)
    # Measured from when the command had returned, so the truth is a little more; a batch here takes 5 ms.
    took_s = time.monotonic() - ended
    assert took_s < 1
    assert "lease_lost" in worker.said()
    job = team.check_books()
    assert job.state == "cancelled"
    assert job.scored == team.count(Prediction)
    # The worker is free for the next job at once.
    team.enqueue(team.write_reviews(20, "next.csv"))
    assert team.wait_for_end(2).scored == 20
    team.check_books(2)
    stop(worker)
    survived("cancel in mid-chunk", f"the worker had let go {took_s:.1f} s after the command, and took the next job")


@ON_POSTGRESQL
def test_two_producers_submit_the_same_file_at_once(team: Team, survived: Survived) -> None:
    path = team.write_reviews(3_000)
    command = [sys.executable, "-m", "cli.main", "score", str(path), *SCORE, str(team.model), "--no-wait", "--json"]
    producers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [json.loads(producer.communicate(timeout=60)[0]) for producer in producers]
    assert sorted(answer["job_id"] for answer in answers) == [1, 2]
    assert (team.count(Review), team.count(Model), team.count(Job)) == (3_000, 1, 2)
    worker = team.worker()
    for job_id in (1, 2):
        job = team.wait_for_end(job_id)
        assert (job.state, job.scored + job.reused, job.failed) == ("done", 3_000, 0)
        team.check_books(job_id)
    assert team.count(Prediction) == 3_000
    stop(worker)
    survived(
        "two producers, one file, the same moment", "3,000 reviews, one model version, 3,000 predictions, two jobs"
    )


@ON_SQLITE
def test_a_producer_killed_between_commit_and_ring(team: Team, survived: Survived) -> None:
    worker = team.worker()
    wait_until(lambda: "worker_ready" in worker.said())
    program = (
        "import os, sys, producer.enqueue\n"
        "producer.enqueue.ring = lambda app, rings: os.kill(os.getpid(), 9)\n"
        "from cli.main import main; main(sys.argv[1:])"
    )
    arguments = ["score", team.write_reviews(50), *SCORE, team.model, "--no-wait"]
    killed = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=False)
    assert killed.returncode == -signal.SIGKILL
    began = time.monotonic()
    wait_until(lambda: max(team.attempts()) == 1, 20)
    found_s = time.monotonic() - began
    assert team.wait_for_end().scored == 50
    team.check_books()
    stop(worker)
    survived("a producer killed between commit and ring", f"a sweep rang for it; claimed {found_s:.1f} s later")


@ON_SQLITE
def test_one_poison_review_in_a_thousand(team: Team, survived: Survived, tmp_path: Path) -> None:
    path = team.write_reviews(999)
    with path.open("a") as file:
        file.write(f"poison,a {WORD} film\n")
    worker = team.worker()
    team.enqueue(path, model=make_poisoned_checkpoint(tmp_path / "poisoned"))
    job = team.wait_for_end()
    assert (job.state, job.scored, job.failed) == ("done", 999, 1)
    team.check_books()
    shown = team.command("jobs", "show", 1).stdout
    assert "poison" in shown
    assert "fails on this review alone" in shown
    assert "reviewmill jobs retry 1" in shown
    retried = json.loads(team.command("jobs", "retry", 1, "--json").stdout)
    assert (retried["state"], retried["scored"], retried["failed"]) == ("done", 999, 1)
    team.check_books()
    assert team.attempts() == [1, 1, 1]  # two chunks, and one of the review that was tried again alone
    assert team.count(Failure) == 1
    stop(worker)
    survived("one poison review in 1,000, then `jobs retry`", "its 999 neighbours; the retry ran that review alone")


@ON_SQLITE
def test_out_of_memory_in_the_engine(team: Team, survived: Survived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_TOKEN_BUDGET", "8000")
    worker = team.start("small-memory", module="tests.faults.faulty_worker")
    team.enqueue(team.write_long_reviews(500))
    job = team.wait_for_end()
    assert (job.state, job.scored, job.failed) == ("done", 500, 0)
    assert team.attempts() == [1]
    team.check_books()
    (budget,) = _budgets(team)
    assert FITTING_TOKENS // 2 < budget <= FITTING_TOKENS
    # Remembered: a worker that starts later does not run into it again.
    stop(worker)
    heir = team.start("small-memory", module="tests.faults.faulty_worker")
    team.enqueue(team.write_long_reviews(600, "next.csv"))
    assert team.wait_for_end(2).scored == 100
    logs = worker.said(), stop(heir)
    assert [log.count("token_budget_halved") for log in logs] == [3, 0]
    assert "ResourceExhaustedError" in logs[0]
    survived("out of memory in TensorFlow", "the budget was halved 3 times and remembered; all reviews scored at once")


@ON_SQLITE
@pytest.mark.long
def test_a_process_whose_memory_runs_out(team: Team, survived: Survived, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_TOKEN_BUDGET", "400000")
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "5000")
    worker = team.worker()
    team.enqueue(team.write_reviews(50, "first.csv"))
    assert team.wait_for_end().scored == 50
    (pid,) = team.processes()
    # From now on the process gets so much more memory, and no byte beyond it.
    resource.prlimit(pid, resource.RLIMIT_AS, (_size_bytes(pid) + 150 * 2**20, resource.RLIM_INFINITY))
    team.enqueue(team.write_long_reviews(5_000))
    job = team.wait_for_end(2, timeout_s=300)
    assert (job.state, job.scored, job.failed) == ("done", 5_000, 0)
    team.check_books(2)
    log = stop(worker)
    # TensorFlow raises where it can; other native code of the process ends it. Neither may lose a review.
    halvings, deaths = log.count("token_budget_halved"), log.count("worker_died")
    assert halvings + deaths >= 1
    survived("a memory limit on the process", f"{halvings} halvings and {deaths} deaths later all 5,000 were scored")


@ON_SQLITE
@pytest.mark.long
def test_a_review_that_kills_every_worker(team: Team, survived: Survived, tmp_path: Path) -> None:
    path = team.write_reviews(15)
    with path.open("a") as file:
        file.write(f"killer,a {WORD} film\n")
    worker = team.start("die-of-one-word", module="tests.faults.faulty_worker")
    team.enqueue(path, model=make_poisoned_checkpoint(tmp_path / "poisoned"))
    job = team.wait_for_end(timeout_s=500)
    assert (job.state, job.scored, job.failed) == ("done", 15, 1)
    team.check_books()
    with team.database.read() as connection:
        (failure,) = connection.execute(select(Failure.external_id, Failure.reason)).all()
    assert failure.external_id == "killer"
    assert "the worker died 3 times while scoring this review alone" in failure.reason
    deaths = worker.said().count("worker_died")
    stop(worker)
    survived("a review that kills its worker like a crash in native code", f"15 neighbours, at {deaths} deaths")


def _cancel_with_in_flight(team: Team, count: int) -> set[Held]:
    """Cancel job 1 in an instant in which exactly that many chunks are held; return who held what."""
    held = select(Chunk.id, Chunk.attempt).where(Chunk.state == "leased").with_for_update()
    for _ in range(1_000):
        # Locked, so that none ends between the count and the cancel.
        with team.database.write() as connection:
            in_flight = {(row.id, row.attempt) for row in connection.execute(held)}
            if len(in_flight) == count:
                assert cancel_job(connection, 1)
                return in_flight
        time.sleep(0.01)
    raise AssertionError(f"there were never {count} in flight")


def _ended(workers: Sequence[Started]) -> set[Held]:
    return _logged(workers, "chunk_scored") | _logged(workers, "lease_lost")


def _logged(workers: Sequence[Started], action: str) -> set[Held]:
    """Chunks, with the attempt, of which the workers logged this event."""
    event = re.compile(rf"action={action}\b.*?\battempt=(\d+) .*?\bchunk=(\d+)\b")
    found = (event.search(line) for worker in workers for line in worker.said().splitlines())
    return {(int(match[2]), int(match[1])) for match in found if match}


def _in_flight(team: Team) -> tuple[int, int]:
    """Chunks under a lease, and how many of them have begun inference."""
    with team.database.read() as connection:
        leased = Chunk.state == "leased"
        counts = select(func.count(), func.count().filter(Chunk.scored > 0)).where(leased)
        return tuple(connection.execute(counts).one())


def _budgets(team: Team) -> list[int]:
    with team.database.read() as connection:
        return list(connection.scalars(select(TokenBudget.tokens)))


def _size_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")
