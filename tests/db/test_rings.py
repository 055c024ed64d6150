"""What is rung again: every chunk whose message was lost, and no other."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from db.claims import give_back
from db.clock import utc_now
from db.database import Database
from db.rings import Ring, lost_chunks, note_rings
from db.tables import Chunk

NewJob = Callable[..., tuple[int, list[int]]]


@pytest.fixture
def lost(database: Database) -> Callable[..., list[int]]:
    """Ids of the chunks that are called lost."""

    def look(*, dry: bool, priority: str = "normal", kind: str = "score", limit: int = 100) -> list[int]:
        with database.read() as connection:
            found = lost_chunks(connection, kind, priority, queue_is_dry=dry, limit=limit)
        return [ring.chunk_id for ring in found]

    return look


def rung(database: Database, chunk_id: int, seconds_ago: float) -> None:
    with database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(rung_at=utc_now(-seconds_ago)))


def test_a_chunk_just_rung_is_on_its_way(database: Database, new_job: NewJob, lost: Callable) -> None:
    _, (first, second) = new_job(chunks=2)
    assert lost(dry=True) == []
    rung(database, first, 60)
    rung(database, second, 60)
    assert lost(dry=True) == [first, second]
    assert lost(dry=True, limit=1) == [first]


def test_the_message_of_another_priority_or_kind_hides_nothing(
    database: Database, new_job: NewJob, lost: Callable
) -> None:
    _, (chunk_id,) = new_job(priority="high")
    rung(database, chunk_id, 60)
    assert lost(dry=True) == []
    assert lost(dry=True, priority="high", kind="finetune") == []
    assert lost(dry=True, priority="high") == [chunk_id]


def test_in_a_queue_that_never_runs_dry_the_order_tells(
    database: Database, new_job: NewJob, claim: Callable, lost: Callable
) -> None:
    _, (early, served, late) = new_job(chunks=3)
    for chunk_id, age in ((early, 60), (served, 40), (late, 20)):
        rung(database, chunk_id, age)
    assert lost(dry=False) == []
    claim(served)
    # Its message must have been served before that of `served`; that of `late` still waits in the queue.
    assert lost(dry=False) == [early]


def test_a_claimed_chunk_is_not_lost_until_its_lease_runs_out(
    database: Database, new_job: NewJob, claim: Callable, lost: Callable
) -> None:
    _, (chunk_id,) = new_job()
    rung(database, chunk_id, 60)
    held = claim(chunk_id)
    assert lost(dry=True) == []
    with database.write() as connection:
        connection.execute(update(Chunk).values(lease_expires_at=utc_now(-1)))
    assert lost(dry=True) == [chunk_id]
    with database.write() as connection:
        give_back(connection, held)
        connection.execute(update(Chunk).values(next_attempt_at=utc_now(60)))
    assert lost(dry=True) == []


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
