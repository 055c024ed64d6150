"""What is rung again: every chunk whose message was lost, and no other."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from db.claims import give_back
from db.clock import utc_now
from db.database import Database
from db.rings import Ring, note_rings, unrung_chunks
from db.tables import Chunk
from db.turns import whose_turn

NewJob = Callable[..., tuple[int, list[int]]]


@pytest.fixture
def unrung(database: Database) -> Callable[..., list[int]]:
    """Ids of the chunks that are to be rung for where no message is left."""

    def look(kind: str = "score", limit: int = 100) -> list[int]:
        with database.read() as connection:
            return [ring.chunk_id for ring in unrung_chunks(connection, kind, limit)]

    return look


def rung(database: Database, chunk_id: int, seconds_ago: float) -> None:
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(rung_at=utc_now(-seconds_ago)))


def test_a_chunk_just_rung_is_on_its_way(database: Database, new_job: NewJob, unrung: Callable) -> None:
    _, (first, second) = new_job(chunks=2)
    assert unrung() == []
    rung(database, first, 60)
    rung(database, second, 60)
    assert unrung() == [first, second]
    assert unrung(limit=1) == [first]


def test_each_is_rung_for_in_its_own_queue_and_priority(database: Database, new_job: NewJob, unrung: Callable) -> None:
    _, (normal,) = new_job()
    _, (high,) = new_job(priority="high")
    rung(database, normal, 60)
    rung(database, high, 60)
    assert unrung("finetune") == []
    with database.read() as connection:
        assert unrung_chunks(connection, "score", 10) == [(normal, "score", "normal"), (high, "score", "high")]


def test_in_a_queue_that_never_runs_dry_a_lost_message_delays_nothing(
    database: Database, new_job: NewJob, claim: Callable
) -> None:
    _, rung_ids = new_job(chunks=5)
    _, (lost,) = new_job()
    heard = []
    for rung_id in rung_ids[:2]:
        with database.write() as connection:
            heard.append(whose_turn(connection, rung_id).chunk_id)
        claim(heard[-1])
    assert heard == [rung_ids[0], lost]


def test_a_claimed_chunk_is_not_rung_for_until_its_lease_runs_out(
    database: Database, new_job: NewJob, claim: Callable, unrung: Callable
) -> None:
    _, (chunk_id,) = new_job()
    rung(database, chunk_id, 60)
    held = claim(chunk_id)
    assert unrung() == []
    with database.write() as connection:
        connection.execute(update(Chunk).values(lease_expires_at=utc_now(-1)))
    assert unrung() == [chunk_id]
    with database.write() as connection:
        give_back(connection, held)
        connection.execute(update(Chunk).values(next_attempt_at=utc_now(60)))
    assert unrung() == []


def test_of_two_sweeps_one_rings(database: Database, new_job: NewJob, claim: Callable) -> None:
    _, (first, taken) = new_job(chunks=2)
    for chunk_id in (first, taken):
        rung(database, chunk_id, 60)
    rings = [Ring(first, "score", "normal"), Ring(taken, "score", "normal")]
    claim(taken)
    with database.write() as connection:
        assert note_rings(connection, rings) == rings[:1]
    with database.write() as connection:
        assert note_rings(connection, rings) == []
