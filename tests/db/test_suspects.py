"""A chunk whose workers keep dying is split until the review that kills them is alone."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from db.claims import Claim, claim_chunk, finish_chunk, release_dead
from db.database import Database
from db.errors import LeaseLost
from db.jobs import NewJob, create_job, job_status, refused_rows, settle_job
from db.registry import RegisteredModel
from db.reviews import store_reviews
from db.suspects import quarantine, split_chunk
from db.tables import Chunk
from tests.samples import SomeReview

LIMIT = 3


@pytest.fixture
def job_of(database: Database, model: RegisteredModel) -> Callable[[int], tuple[int, int]]:
    """A job of one chunk of so many reviews; returns its id and the chunk's."""

    def make(reviews: int) -> tuple[int, int]:
        with database.write() as connection:
            ids = store_reviews(connection, "f.csv", [SomeReview(str(n), f"text {n}") for n in range(reviews)])
            job_id, (chunk_id,) = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        return job_id, chunk_id

    return make


def die_on(database: Database, chunk_id: int) -> None:
    with database.write() as connection:
        assert claim_chunk(connection, chunk_id, "doomed", 60)
        release_dead(connection, "doomed")


def take(database: Database, chunk_id: int) -> Claim:
    with database.write() as connection:
        claim = claim_chunk(connection, chunk_id, "me", 60)
    assert claim is not None
    return claim


def test_halves_share_the_reviews_and_have_one_more_death(
    database: Database, job_of: Callable[[int], tuple[int, int]]
) -> None:
    job_id, chunk_id = job_of(5)
    for _ in range(LIMIT):
        die_on(database, chunk_id)
    claim = take(database, chunk_id)
    assert claim.deaths == LIMIT
    with database.write() as connection:
        rings = split_chunk(connection, claim, deaths_left=1)
        assert job_status(connection, job_id).total == 5
        assert job_status(connection, job_id).state == "running"
    halves = [take(database, ring.chunk_id) for ring in rings]
    assert [len(half.review_ids) for half in halves] == [3, 2]
    assert halves[0].review_ids + halves[1].review_ids == claim.review_ids
    assert [half.deaths for half in halves] == [LIMIT - 1, LIMIT - 1]


def test_one_review_alone_starts_anew(database: Database, job_of: Callable[[int], tuple[int, int]]) -> None:
    _, chunk_id = job_of(2)
    for _ in range(LIMIT):
        die_on(database, chunk_id)
    with database.write() as connection:
        rings = split_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), deaths_left=1)
    assert [take(database, ring.chunk_id).deaths for ring in rings] == [0, 0]


def test_the_killer_is_found_and_its_neighbours_are_done(
    database: Database, job_of: Callable[[int], tuple[int, int]]
) -> None:
    job_id, chunk_id = job_of(100)
    killer = take(database, chunk_id).review_ids[37]
    with database.write() as connection:
        release_dead(connection, "me")
    deaths = 0
    while waiting := pending(database):
        claim = take(database, waiting[0])
        if claim.deaths >= LIMIT:
            with database.write() as connection:
                if len(claim.review_ids) == 1:
                    quarantine(connection, claim, "it kills")
                else:
                    split_chunk(connection, claim, deaths_left=1)
        elif killer in claim.review_ids:
            deaths += 1
            with database.write() as connection:
                release_dead(connection, "me")
        else:
            with database.write() as connection:
                finish_chunk(connection, claim, scored=len(claim.review_ids))
                settle_job(connection, job_id)
    with database.read() as connection:
        job = job_status(connection, job_id)
        (failure,) = refused_rows(connection, job_id)
    assert (job.state, job.scored, job.failed, job.total) == ("done", 99, 1, 100)
    assert (failure["external_id"], failure["reason"]) == ("37", "it kills")
    assert deaths <= 2 * LIMIT + 7  # all of the first chunk's, one a halving, all of the last review's


def test_a_zombie_splits_nothing(database: Database, job_of: Callable[[int], tuple[int, int]]) -> None:
    _, chunk_id = job_of(2)
    zombie = take(database, chunk_id)
    with database.write() as connection:
        release_dead(connection, "me")
    for act in (lambda c: split_chunk(c, zombie, 1), lambda c: quarantine(c, zombie, "oops")):
        with pytest.raises((LeaseLost, ValueError)), database.write() as connection:
            act(connection)
    with database.read() as connection:
        assert list(connection.scalars(select(Chunk.size))) == [2]


def pending(database: Database) -> list[int]:
    with database.read() as connection:
        return list(connection.scalars(select(Chunk.id).where(Chunk.state == "pending").order_by(Chunk.id)))
