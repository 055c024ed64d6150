"""Chunks are claimed together: which, how many, and what becomes of them when their worker dies."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select, text, update

from db.claims import Claim, claim_chunk, fail_chunk, give_back, release_dead, retry_later, still_held
from db.clock import utc_now
from db.database import Database
from db.jobs import NewJob, cancel_job, create_job, settle_jobs
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from db.suspects import split_chunk
from db.tables import Chunk, Job
from db.together import claim_together
from tests.samples import SomeReview, facts

ROOM = 20
Enqueue = Callable[..., int]
Take = Callable[..., list[Claim]]


@pytest.fixture
def enqueue(database: Database, model: RegisteredModel) -> Enqueue:
    """Make a scoring job of one chunk of so many reviews, and return the chunk's id."""

    def make(size: int = 1, model_id: int = model.id, params: dict[str, object] | None = None, **fields: object) -> int:
        with database.write() as connection:
            ids = store_reviews(connection, "f.csv", [SomeReview(str(n), f"text {n}") for n in range(size)])
            new = NewJob("score", params or {}, [ids], model_id=model_id, **fields)  # type: ignore[arg-type]
            return create_job(connection, new)[1][0]

    return make


@pytest.fixture
def take(database: Database) -> Take:
    def claim(chunk_id: int, owner: str = "me", room: int = ROOM) -> list[Claim]:
        with database.write() as connection:
            return claim_together(connection, chunk_id, owner, 60, room)

    return claim


def ids(claims: list[Claim]) -> list[int]:
    return [claim.chunk_id for claim in claims]


def test_small_chunks_go_together_up_to_the_room(database: Database, enqueue: Enqueue, take: Take) -> None:
    lead, *others = [enqueue(6) for _ in range(4)]
    claims = take(lead)
    assert ids(claims) == [lead, *others[:2]]
    assert [(one.attempt, len(one.review_ids), one.owner) for one in claims] == [(1, 6, "me")] * 3
    assert [one.taken_along for one in claims] == [False, True, True]
    assert len({one.job_id for one in claims}) == 3
    with database.read() as connection:
        assert sorted(connection.scalars(select(Job.state))) == ["pending", "running", "running", "running"]
        assert connection.scalar(select(func.count(Job.started_at))) == 3
    assert take(others[0], "you") == []
    assert ids(take(others[2], "you")) == [others[2]]


def test_a_smaller_one_takes_the_place_that_a_larger_one_leaves(enqueue: Enqueue, take: Take) -> None:
    lead, fits, _, also_fits = enqueue(8), enqueue(7), enqueue(10), enqueue(5)
    assert ids(take(lead)) == [lead, fits, also_fits]


@pytest.mark.parametrize("room", [1, 19, 20])
def test_a_chunk_of_more_than_half_the_room_is_alone(enqueue: Enqueue, take: Take, room: int) -> None:
    large, small = enqueue(10), enqueue(1)
    assert ids(take(large, room=room)) == ([large, small] if room == 20 else [large])


def test_a_large_chunk_is_never_taken_along(enqueue: Enqueue, take: Take) -> None:
    lead, _, small = enqueue(1), enqueue(11), enqueue(10)
    assert ids(take(lead)) == [lead, small]


def test_higher_priorities_come_first_and_lower_ones_never(enqueue: Enqueue, take: Take) -> None:
    low, normal = enqueue(1, priority="low"), enqueue(1)
    high = [enqueue(1, priority="high") for _ in range(3)]
    lead = enqueue(1)
    assert ids(take(lead, room=4)) == [*high, lead]
    assert ids(take(normal)) == [normal]
    assert ids(take(low)) == [low]


def test_only_what_is_alike_and_never_went_wrong_goes_along(
    database: Database, model: RegisteredModel, enqueue: Enqueue, take: Take
) -> None:
    with database.write() as connection:
        other = register_model(connection, "other", model.path, facts("e" * 64), kind="directory")  # type: ignore[arg-type]
    lead, good = enqueue(), enqueue()
    strange = enqueue(model_id=other.id)
    failed, died, put_off, parted, cancelled, running = (enqueue() for _ in range(6))
    with database.write() as connection:
        for chunk_id, values in {
            failed: {"errors": 1},
            died: {"deaths": 1},
            parted: {"alone": True},
            put_off: {"next_attempt_at": utc_now(60)},
        }.items():
            connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(values))
        connection.execute(update(Job).where(Job.id == cancelled).values(state="cancelled"))
        claim_chunk(connection, running, "you", 60)
    assert ids(take(lead)) == [lead, good]
    # Nor do they take others along.
    enqueue()
    for suspect in (failed, died, parted):
        assert ids(take(suspect)) == [suspect]
    assert ids(take(strange)) == [strange]
    assert take(cancelled) == []


@pytest.mark.parametrize("name", ["precision", "long"])
def test_only_what_is_ordered_alike_goes_along(enqueue: Enqueue, take: Take, name: str) -> None:
    ordered = [enqueue(params={name: value}) for value in ("int8", "window", "int8", "window")]
    assert ids(take(ordered[1])) == [ordered[1], ordered[3]]
    assert ids(take(ordered[0])) == [ordered[0], ordered[2]]


def test_a_job_that_says_nothing_of_long_texts_has_them_truncated(enqueue: Enqueue, take: Take) -> None:
    silent, window, truncate, head_tail = (
        enqueue(params=params) for params in ({}, {"long": "window"}, {"long": "truncate"}, {"long": "head-tail"})
    )
    assert ids(take(truncate)) == [silent, truncate]
    assert [ids(take(other)) for other in (window, head_tail)] == [[window], [head_tail]]


@pytest.fixture
def enqueue_large(database: Database, model: RegisteredModel) -> Enqueue:
    """Make a scoring job of so many chunks, each of more than half the room; return the chunks' ids."""

    def make(chunks: int) -> list[int]:
        with database.write() as connection:
            reviews = [SomeReview(str(n), f"text {n}") for n in range(chunks * ROOM)]
            ids = store_reviews(connection, "f.csv", reviews)
            parts = [ids[at : at + ROOM] for at in range(0, len(ids), ROOM)]
            return create_job(connection, NewJob("score", {}, parts, model_id=model.id))[1]

    return make


def stride_of(**strides: int) -> Callable[[int], int]:
    """A stride for each job by its number, as in `job_1=3`; else one chunk."""
    return lambda job_id: strides.get(f"job_{job_id}", 1)


def test_a_large_one_takes_as_many_of_its_job_along_as_the_stride_says(
    database: Database, enqueue: Enqueue, enqueue_large: Callable[[int], list[int]]
) -> None:
    (first, *more), others = enqueue_large(6), enqueue_large(2)
    small = enqueue(1)
    with database.write() as connection:
        ended, failed, parted = more[0], more[1], more[2]
        claim_chunk(connection, ended, "you", 60)
        connection.execute(update(Chunk).where(Chunk.id == failed).values(errors=1))
        connection.execute(update(Chunk).where(Chunk.id == parted).values(alone=True))
        claims = claim_together(connection, first, "me", 60, ROOM, stride_of(job_1=3))
        assert ids(claims) == [first, *more[3:]]
        assert [one.taken_along for one in claims] == [False, True, True]
        # What went wrong takes none along, another job has a stride of its own, and small ones go by the room.
        assert ids(claim_together(connection, failed, "me", 60, ROOM, stride_of(job_1=3))) == [failed]
        assert ids(claim_together(connection, others[0], "me", 60, ROOM, stride_of(job_1=3))) == [others[0]]
        assert ids(claim_together(connection, small, "me", 60, ROOM, stride_of(job_3=3))) == [small]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_large_one_takes_along_what_no_other_worker_takes(
    database: Database, enqueue_large: Callable[[int], list[int]], take: Take
) -> None:
    started, *chunk_ids = enqueue_large(6)
    take(started)
    with database.write() as one, database.write() as other:
        other.execute(text("SET LOCAL lock_timeout = '5s'"))
        assert ids(claim_together(one, chunk_ids[0], "me", 60, ROOM, stride_of(job_1=2))) == chunk_ids[:2]
        # The first row of the job that is nobody's.
        assert ids(claim_together(other, chunk_ids[2], "you", 60, ROOM, stride_of(job_1=9))) == chunk_ids[2:]


def test_a_training_is_alone(database: Database, take: Take) -> None:
    with database.write() as connection:
        first, second = (create_job(connection, NewJob("finetune", {}, [[1]]))[1][0] for _ in range(2))
    assert ids(take(first)) == [first]
    assert ids(take(second)) == [second]


def test_a_death_in_company_is_nobodys_and_parts_them(database: Database, enqueue: Enqueue, take: Take) -> None:
    lead, along, later = (enqueue() for _ in range(3))
    take(lead, "dead", room=2)
    with database.write() as connection:
        assert sorted(release_dead(connection, "dead")) == [lead, along]
    for chunk_id in (lead, along):
        (parted,) = take(chunk_id, "heir")
        assert (parted.chunk_id, parted.attempt, parted.deaths, parted.alone) == (chunk_id, 2, 0, True)
    # A death that it dies alone is its own.
    with database.write() as connection:
        release_dead(connection, "heir")
    assert [take(chunk_id)[0].deaths for chunk_id in (lead, along)] == [1, 1]
    assert ids(take(later)) == [later]


def test_a_lease_that_runs_out_in_company_is_nobodys_too(database: Database, enqueue: Enqueue, take: Take) -> None:
    lead, along = enqueue(), enqueue()
    take(lead, "cut off")
    with database.write() as connection:
        connection.execute(update(Chunk).values(lease_expires_at=utc_now(-1)))
    for chunk_id in (lead, along):
        (parted,) = take(chunk_id, "heir")
        assert (parted.attempt, parted.deaths, parted.alone) == (2, 0, True)


def test_what_is_given_back_goes_together_again(database: Database, enqueue: Enqueue, take: Take) -> None:
    lead, along = enqueue(), enqueue()
    with database.write() as connection:
        for claim in claim_together(connection, lead, "me", 60, ROOM):
            give_back(connection, claim)
        assert list(connection.scalars(select(Chunk.lead_id))) == [None, None]
    assert ids(take(along)) == [lead, along]
    with database.read() as connection:
        assert list(connection.scalars(select(Chunk.lead_id))) == [along, along]


def test_an_error_is_the_chunks_own(database: Database, enqueue: Enqueue, take: Take) -> None:
    lead, along = take(enqueue()) + take(enqueue())
    with database.write() as connection:
        retry_later(connection, lead, "oops", -1)
        fail_chunk(connection, along, "oops")
    (again,) = take(lead.chunk_id)
    assert (again.errors, again.alone) == (1, False)


def test_halves_of_a_suspect_are_alone(database: Database, enqueue: Enqueue, take: Take) -> None:
    suspect = enqueue(2)
    enqueue()
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == suspect).values(deaths=3))
        halves = split_chunk(connection, claim_chunk(connection, suspect, "me", 60), deaths_left=1)  # type: ignore[arg-type]
    for half in halves:
        (claim,) = take(half.chunk_id)
        assert (claim.deaths, claim.alone) == (0, True)


def test_one_that_is_cancelled_takes_nothing_from_the_others(database: Database, enqueue: Enqueue, take: Take) -> None:
    lead, *_ = [enqueue() for _ in range(3)]
    claims = take(lead)
    with database.write() as connection:
        cancel_job(connection, claims[1].job_id)
        assert still_held(connection, claims, lock=True) == [claims[0], claims[2]]


def test_jobs_that_end_together_are_settled_each(database: Database, enqueue: Enqueue, take: Take) -> None:
    good, bad = take(enqueue()) + take(enqueue())
    unfinished, cancelled = enqueue(), enqueue()
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == good.chunk_id).values(state="done"))
        connection.execute(update(Chunk).where(Chunk.id == bad.chunk_id).values(state="failed", error="oops"))
        cancel_job(connection, cancelled)
        settle_jobs(connection, [good.job_id, bad.job_id, unfinished, cancelled])
        found = connection.execute(select(Job.state, Job.error, Job.finished_at.is_not(None)).order_by(Job.id)).all()
    assert [tuple(row) for row in found] == [
        ("done", None, True),
        ("failed", "oops", True),
        ("pending", None, False),
        ("cancelled", None, True),
    ]


def test_of_two_workers_at_once_each_chunk_has_one(database: Database, enqueue: Enqueue, take: Take) -> None:
    chunk_ids = [enqueue() for _ in range(40)]
    together = Barrier(4)

    def work(number: int) -> list[int]:
        together.wait(10)
        mine: list[int] = []
        for chunk_id in chunk_ids[number::4]:
            mine += ids(take(chunk_id, f"owner {number}", room=6))
        return mine

    with ThreadPoolExecutor(4) as pool:
        taken = [chunk_id for mine in pool.map(work, range(4)) for chunk_id in mine]
    assert sorted(taken) == sorted(chunk_ids)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_worker_does_not_wait_for_what_another_is_taking(database: Database, enqueue: Enqueue) -> None:
    first, _, third, fourth = (enqueue() for _ in range(4))
    with database.write() as one, database.write() as other:
        other.execute(text("SET LOCAL lock_timeout = '5s'"))
        assert len(claim_together(one, first, "me", 60, 2)) == 2
        assert ids(claim_together(other, third, "you", 60, 4)) == [third, fourth]
