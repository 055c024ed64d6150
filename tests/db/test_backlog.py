"""What waits is counted by kind, priority and state, with the age of the oldest."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from bench.plans import plans_of
from db.backlog import DELAYED, LEASED, WAITING, Backlog, backlog
from db.claims import Claim, retry_later
from db.clock import utc_now
from db.database import Database
from db.jobs import NewJob, cancel_job, create_job
from db.tables import Chunk

NewJobs = Callable[..., tuple[int, list[int]]]
Take = Callable[..., Claim | None]


def found(database: Database) -> dict[tuple[str, str, str], Backlog]:
    with database.read() as connection:
        return {(one.kind, one.priority, one.state): one for one in backlog(connection)}


def rung_ago(database: Database, chunk_id: int, seconds: float) -> None:
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(rung_at=utc_now(-seconds)))


def test_nothing_waits_in_an_empty_database(database: Database) -> None:
    assert found(database) == {}


def test_chunks_are_counted_where_they_stand(database: Database, new_job: NewJobs, claim: Take) -> None:
    _, chunk_ids = new_job(chunks=6)
    new_job(chunks=2, priority="high")
    with database.write() as connection:
        create_job(connection, NewJob("finetune", {"name": "stars"}, [[1]], priority="low"))
    held, late, failed = (claim(chunk_id) for chunk_id in chunk_ids[:3])
    assert held
    assert late
    assert failed
    with database.write() as connection:
        retry_later(connection, failed, "it sneezed", 60)
        connection.execute(update(Chunk).where(Chunk.id == late.chunk_id).values(lease_expires_at=utc_now(-1)))
    counts = {key: one.chunks for key, one in found(database).items()}
    assert counts == {
        # Three that nobody took, and one whose worker is gone.
        ("score", "normal", WAITING): 4,
        ("score", "normal", DELAYED): 1,
        ("score", "normal", LEASED): 1,
        ("score", "high", WAITING): 2,
        ("finetune", "low", WAITING): 1,
    }


def test_the_oldest_tells_how_long_it_has_waited(database: Database, new_job: NewJobs) -> None:
    _, chunk_ids = new_job(chunks=3)
    rung_ago(database, chunk_ids[1], 3_600)
    assert 3_600 <= found(database)["score", "normal", WAITING].oldest_s < 3_900


def test_what_is_over_does_not_wait(database: Database, new_job: NewJobs) -> None:
    _, chunk_ids = new_job(chunks=3)
    other_id, _ = new_job(chunks=2)
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == chunk_ids[0]).values(state="done"))
        cancel_job(connection, other_id)
    assert {key: one.chunks for key, one in found(database).items()} == {("score", "normal", WAITING): 2}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_chunks_that_are_over_are_not_read(database: Database, new_job: NewJobs) -> None:
    new_job(chunks=3)
    (plan,) = [plan for plan in plans_of(database, backlog) if "chunks" in plan]
    assert "SEARCH chunks USING INDEX ix_chunks_state" in plan
