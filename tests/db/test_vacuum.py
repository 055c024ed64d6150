"""Room goes back to the disk, work goes on meanwhile, and the next chunk is found as fast as before."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, event, insert, select

from db.database import Database
from db.errors import DatabaseUnreachable
from db.reviews import store_reviews
from db.tables import Chunk, Job, Review
from db.turns import whose_turn
from db.vacuum import empty_log, room_of, vacuum
from tests.samples import SomeReview


def fill(database: Database, reviews: int = 3_000) -> None:
    with database.write() as connection:
        store_reviews(connection, "f.csv", [SomeReview(str(n), f"words {n} " * 100) for n in range(reviews)])


def empty(database: Database, from_id: int = 0) -> None:
    with database.write() as connection:
        connection.execute(delete(Review).where(Review.id > from_id))


def test_full_gives_the_room_back_and_the_rest_is_there(database: Database) -> None:
    fill(database)
    with database.write() as connection:
        kept = connection.scalars(select(Review.id).order_by(Review.id).limit(5)).all()
    empty(database, kept[-1])
    before = room_of(database)
    after = vacuum(database, full=True)
    assert after.bytes < before.bytes / 4
    assert after.bytes == room_of(database).bytes
    with database.read() as connection:
        assert connection.scalars(select(Review.id).order_by(Review.id)).all() == kept
    fill(database)  # and it can be written to


def test_without_full_nobody_who_writes_waits_for_long(database: Database) -> None:
    fill(database)
    vacuum(database, full=True)
    fill(database, 30_000)
    empty(database)
    longest, stop = [0.0], threading.Event()

    def write() -> None:
        while not stop.is_set():
            began = time.monotonic()
            with database.write() as connection:
                connection.execute(insert(Job).values(kind="score"))
            longest[0] = max(longest[0], time.monotonic() - began)
            time.sleep(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    before = room_of(database)
    steps: list[int] = []
    after = vacuum(database, progress=steps.append)
    stop.set()
    writer.join()
    assert longest[0] < 1.0
    assert after.bytes < before.bytes / 4
    if database.is_sqlite:
        assert len(steps) > 3
        assert before.gives_back


def test_a_file_that_was_never_rewritten_tells_that_its_room_stays(sqlite_database: Database) -> None:
    fill(sqlite_database)
    empty(sqlite_database)
    before = room_of(sqlite_database)
    after = vacuum(sqlite_database)
    assert (before.gives_back, after.gives_back) == (False, False)
    assert after.free == before.free > after.bytes / 2


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Database:
    from db.schema import upgrade

    database = Database(sqlite_url)
    upgrade(database)
    return database


@pytest.mark.parametrize("full", [False, True])
def test_the_next_chunk_is_still_found_by_its_state(sqlite_database: Database, full: bool) -> None:
    """Statistics would have SQLite read every job and chunk there ever was."""
    with sqlite_database.write() as connection:
        jobs = [{"id": n + 1, "kind": "score", "state": "done"} for n in range(500)]
        connection.execute(insert(Job), jobs)
        chunks = [
            {"job_id": 1 + n // 40, "position": n % 40, "state": "done", "size": 1_000, "review_ids": []}
            for n in range(20_000)
        ]
        connection.execute(insert(Chunk), chunks)
    vacuum(sqlite_database, full=full)
    plans: list[str] = []

    @event.listens_for(sqlite_database.engine, "before_cursor_execute")
    def note(connection, cursor, statement, parameters, _context, _many) -> None:  # type: ignore[no-untyped-def]
        if statement.startswith("SELECT"):
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    with sqlite_database.write() as connection:
        whose_turn(connection, 20_000)
    assert plans
    assert not [line for line in plans if line.startswith("SCAN")]


def test_the_log_is_emptied_unless_somebody_reads(sqlite_database: Database, tmp_path: Path) -> None:
    log = tmp_path / "reviewmill.db-wal"
    fill(sqlite_database)
    with sqlite_database.read() as connection:
        connection.execute(select(Review.id).limit(1)).all()
        fill(sqlite_database, 10)
        assert not empty_log(sqlite_database)
    assert log.stat().st_size > 0
    assert empty_log(sqlite_database)
    assert log.stat().st_size == 0


def test_a_database_that_is_locked_is_one_line(sqlite_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite_database.write():
        other = Database(str(sqlite_database.url))
        raw = other.engine.raw_connection()
        raw.driver_connection.execute("PRAGMA busy_timeout = 10")
        raw.close()
        with pytest.raises(DatabaseUnreachable, match="cannot be used: database is locked"):
            vacuum(other, full=True)


def test_room_is_measured(database: Database, new_job: Callable[..., tuple[int, list[int]]]) -> None:
    from db.claims import claim_chunk

    _, (chunk_id, _) = new_job(chunks=2)
    before = room_of(database)
    fill(database)
    with database.write() as connection:
        claim_chunk(connection, chunk_id, "me", 60)
    after = room_of(database)
    assert (before.at_work, after.at_work) == (0, 1)
    assert after.bytes > before.bytes + 2_000_000
