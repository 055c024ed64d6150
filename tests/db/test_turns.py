"""Jobs of one priority take turns, a chunk at a time, however many chunks each has and whenever it came."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import delete, func, select, text, update

from db.claims import Claim, cancel_left_over, claim_chunk, finish_chunk, postpone, release_dead
from db.clock import utc_now
from db.database import Database
from db.jobs import NewJob, add_chunk, cancel_job, create_job, settle_job
from db.tables import Chunk, Job
from db.turns import Turn, whose_turn

Enqueue = Callable[..., int]

#: SQLite's clock tells milliseconds, and what happens within one has no order. No worker ends a chunk in less.
_TICK_S = 0.002


@pytest.fixture
def enqueue(database: Database) -> Enqueue:
    """Make a job of so many chunks, none of which is claimed together with others; return its id."""

    def make(chunks: int, kind: str = "score", **fields: object) -> int:
        with database.write() as connection:
            new = NewJob(kind, {}, [[number] for number in range(chunks)], **fields)  # type: ignore[arg-type]
            job_id = create_job(connection, new)[0]
        time.sleep(_TICK_S)
        return job_id

    return make


class Workers:
    """Workers that each have at most one chunk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, job_id: int = 1, owner: str = "me") -> Claim | None:
        """Claim whatever has its turn, for a message of that job."""
        with self._database.write() as connection:
            rung = select(func.min(Chunk.id)).where(Chunk.job_id == job_id)
            turn = whose_turn(connection, connection.scalar(rung) or 0)
            claim = claim_chunk(connection, turn.chunk_id, owner, 60) if turn else None
        time.sleep(_TICK_S)
        return claim

    def end(self, claim: Claim) -> None:
        with self._database.write() as connection:
            finish_chunk(connection, claim, scored=1)
            settle_job(connection, claim.job_id)

    def work(self, chunks: int, job_id: int = 1) -> list[int]:
        """Let one worker do so many chunks; return the jobs that they are of."""
        served = []
        for _ in range(chunks):
            claim = self.claim(job_id)
            assert claim is not None
            self.end(claim)
            served.append(claim.job_id)
        return served


@pytest.fixture
def workers(database: Database) -> Workers:
    return Workers(database)


def chunks_of(database: Database, job_id: int) -> list[int]:
    with database.read() as connection:
        return list(connection.scalars(select(Chunk.id).where(Chunk.job_id == job_id).order_by(Chunk.position)))


def let_lease_run_out(database: Database, chunk_id: int) -> None:
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(lease_expires_at=utc_now(-1)))


def test_three_jobs_of_different_sizes_take_turns(enqueue: Enqueue, workers: Workers) -> None:
    large, small, middle = enqueue(20), enqueue(1), enqueue(4)
    # Whatever the messages say: all of these are the large job's.
    served = workers.work(12, large)
    assert served == [large, small, middle, large, middle, large, middle, large, middle, large, large, large]


def test_a_jobs_own_chunks_go_in_order(database: Database, enqueue: Enqueue, workers: Workers) -> None:
    job_id = enqueue(5)
    claims = [workers.claim() for _ in range(5)]
    assert [claim.chunk_id for claim in claims] == chunks_of(database, job_id)
    assert workers.claim() is None


def test_a_job_that_comes_late_has_its_turn_at_once(enqueue: Enqueue, workers: Workers) -> None:
    first, second = enqueue(1_000), enqueue(1_000)
    workers.work(50)
    late = enqueue(3)
    # One chunk of each that was there before, and not one more.
    assert workers.work(9) == [first, second, late] * 3


def test_who_came_late_does_not_make_up_for_it(enqueue: Enqueue, workers: Workers) -> None:
    first = enqueue(100)
    workers.work(40)
    late = enqueue(100)
    assert Counter(workers.work(40)) == {first: 20, late: 20}


def test_a_stream_of_new_jobs_keeps_no_job_waiting(enqueue: Enqueue, workers: Workers) -> None:
    large = enqueue(50)
    served = []
    for _ in range(20):
        enqueue(1)
        enqueue(1)
        served += workers.work(3)
    assert served.count(large) == 20


@pytest.mark.parametrize("busy", [1, 3, 8])
def test_many_workers_are_shared_alike(enqueue: Enqueue, workers: Workers, busy: int) -> None:
    """One job's chunks take four times as long: it has as many workers all the same, not four times as many."""
    slow, quick = enqueue(500), enqueue(500)
    at_work = [workers.claim() for _ in range(2 * busy)]
    assert Counter(claim.job_id for claim in at_work if claim) == {slow: busy, quick: busy}
    for tick in range(12):
        done = [claim for claim in at_work if claim and (claim.job_id == quick or tick % 4 == 0)]
        for claim in done:
            workers.end(claim)
            at_work[at_work.index(claim)] = workers.claim()
        assert Counter(claim.job_id for claim in at_work if claim) == {slow: busy, quick: busy}


def test_a_higher_priority_goes_first_whatever_was_rung(enqueue: Enqueue, workers: Workers) -> None:
    low, normal, other = enqueue(2, priority="low"), enqueue(2), enqueue(2)
    assert workers.work(1, low) == [normal]
    high = enqueue(2, priority="high")
    assert workers.work(7, low) == [high, high, other, normal, other, low, low]
    assert workers.claim(high) is None


def test_a_message_serves_its_own_kind_of_job(database: Database, enqueue: Enqueue, workers: Workers) -> None:
    training, scoring = enqueue(1, "finetune", priority="high"), enqueue(2)
    with database.write() as connection:
        assert whose_turn(connection, 987_654_321) is None
    assert workers.work(2, scoring) == [scoring, scoring]
    assert workers.claim(scoring) is None
    assert workers.work(1, training) == [training]


def test_what_is_not_due_or_held_has_no_turn(database: Database, enqueue: Enqueue, workers: Workers) -> None:
    held, waits, free = enqueue(1), enqueue(1), enqueue(1)
    assert workers.claim().job_id == held
    with database.write() as connection:
        postpone(connection, claim_chunk(connection, chunks_of(database, waits)[0], "me", 60), "away", 3600)
    assert workers.work(1) == [free]
    assert workers.claim() is None
    with database.write() as connection:
        connection.execute(update(Chunk).values(next_attempt_at=utc_now(-1)))
    assert workers.work(1) == [waits]


def test_suspects_go_last_of_their_job_and_are_told(database: Database, enqueue: Enqueue, workers: Workers) -> None:
    job_id, other = enqueue(4), enqueue(2)
    died, left, third, fourth = chunks_of(database, job_id)
    with database.write() as connection:
        claim_chunk(connection, died, "dead", 60)
        release_dead(connection, "dead")
        claim_chunk(connection, left, "cut off", 60)
    let_lease_run_out(database, left)
    turns = []
    for _ in range(6):
        with database.write() as connection:
            turn = whose_turn(connection, died)
            claim = claim_chunk(connection, turn.chunk_id, "me", 60)
        turns.append(turn)
        workers.end(claim)
    ordinary = [turn.chunk_id for turn in turns if not turn.is_suspect]
    assert turns[4:] == [Turn(died, True), Turn(left, True)]
    assert [chunk_id for chunk_id in ordinary if chunk_id in (third, fourth)] == [third, fourth]
    assert set(ordinary) - {third, fourth} == set(chunks_of(database, other))
    assert workers.claim() is None


def test_a_lease_that_ran_out_is_nobodys_work(database: Database, enqueue: Enqueue, workers: Workers) -> None:
    left, other = enqueue(3), enqueue(3)
    for _ in range(2):
        assert workers.claim(owner="dead") is not None
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.job_id == left).values(lease_expires_at=utc_now(-1)))
        connection.execute(update(Job).where(Job.id == other).values(served_at=utc_now(-60)))
    # The other has waited for longer, but a chunk of it is worked on.
    assert workers.claim().job_id == left


def test_a_cancelled_job_has_no_turn_and_what_was_left_over_is_cancelled(
    database: Database, enqueue: Enqueue, workers: Workers
) -> None:
    cancelled, other = enqueue(2), enqueue(1)
    with database.write() as connection:
        cancel_job(connection, cancelled)
        left_over = add_chunk(connection, cancelled, [7])
    assert workers.work(1, cancelled) == [other]
    assert workers.claim(cancelled) is None
    with database.write() as connection:
        for chunk_id in (left_over, *chunks_of(database, other)):
            cancel_left_over(connection, chunk_id)
    with database.read() as connection:
        assert list(connection.scalars(select(Chunk.state).order_by(Chunk.id))) == [
            "cancelled",
            "cancelled",
            "done",
            "cancelled",
        ]


def test_a_retried_job_does_not_wait_for_longer_than_others(
    database: Database, enqueue: Enqueue, workers: Workers
) -> None:
    retried, other = enqueue(1), enqueue(10)
    workers.work(3)
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.job_id == retried).values(state="pending"))
        connection.execute(update(Job).where(Job.id == retried).values(state="pending"))
    assert workers.work(2) == [retried, other]


def test_two_jobs_of_hundreds_of_chunks_and_many_workers(
    database: Database, enqueue: Enqueue, workers: Workers
) -> None:
    """Every chunk is claimed once, by whoever hears a message, and the jobs advance side by side."""
    jobs = [enqueue(60), enqueue(60)]
    together = Barrier(4)

    def hear(number: int) -> list[tuple[int, int]]:
        together.wait(10)
        claims = [workers.claim(owner=f"owner {number}") for _ in range(30)]
        return [(claim.job_id, claim.chunk_id) for claim in claims if claim]

    with ThreadPoolExecutor(4) as pool:
        claimed = [one for mine in pool.map(hear, range(4)) for one in mine]
    assert len(set(claimed)) == len(claimed) == 120
    assert Counter(job_id for job_id, _ in claimed) == dict.fromkeys(jobs, 60)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_another_takes_at_this_moment_is_not_waited_for(database: Database, enqueue: Enqueue) -> None:
    first, second = enqueue(1), enqueue(1)
    rung = chunks_of(database, first)[0]
    with database.write() as one, database.write() as other, database.write() as third:
        for connection in (other, third):
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        assert claim_chunk(one, whose_turn(one, rung).chunk_id, "me", 60).job_id == first
        # It still looks as if it were the first one's turn.
        assert claim_chunk(other, whose_turn(other, rung).chunk_id, "you", 60).job_id == second
        assert whose_turn(third, rung) is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_claims_on_a_running_job_do_not_wait_for_each_other(
    database: Database, enqueue: Enqueue, workers: Workers
) -> None:
    enqueue(10)
    rung = workers.claim().chunk_id
    with database.write() as one, database.write() as other:
        other.execute(text("SET LOCAL lock_timeout = '5s'"))
        claims = [
            claim_chunk(connection, whose_turn(connection, rung).chunk_id, "me", 60) for connection in (one, other)
        ]
    assert len({claim.chunk_id for claim in claims}) == 2


def test_a_deleted_chunks_message_serves_nothing(database: Database, enqueue: Enqueue) -> None:
    job_id = enqueue(1)
    (rung,) = chunks_of(database, job_id)
    with database.write() as connection:
        connection.execute(delete(Chunk))
        assert whose_turn(connection, rung) is None
