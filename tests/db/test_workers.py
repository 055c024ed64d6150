"""Signs of life: who is alive, by the database's clock."""

from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from sqlalchemy import func, select, update

from db.claims import Claim
from db.clock import utc_now
from db.database import Database
from db.tables import WorkerProcess
from db.workers import (
    HeldChunk,
    SignOfLife,
    held_chunks,
    live_workers,
    register_worker,
    remove_worker,
    renew_worker,
)

SIGN = SignOfLife(
    owner="box:7",
    host="box",
    pid=7,
    device="gpu0@box",
    queues=["score"],
    engine="tensorflow",
    models=[{"model": "stars@1", "precision": "float32", "bytes": 90_000_000}],
    version="0.1.0",
    reviews_per_s=12.5,
    busy=0.25,
)


def last_seen(database: Database, owner: str, ago_s: float) -> None:
    with database.write() as connection:
        connection.execute(update(WorkerProcess).where(WorkerProcess.owner == owner).values(seen_at=utc_now(-ago_s)))


def alive(database: Database) -> list[str]:
    with database.read() as connection:
        return [worker.owner for worker in live_workers(connection)]


def rows(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(WorkerProcess)) or 0


def test_a_worker_is_alive_from_its_first_sign_to_its_leaving(database: Database) -> None:
    with database.write() as connection:
        started_at = register_worker(connection, SIGN)
    with database.read() as connection:
        (worker,) = live_workers(connection)
    told = asdict(worker)
    assert told.pop("started_at") == started_at
    assert told.pop("seen_at") >= started_at
    assert told == asdict(SIGN)
    with database.write() as connection:
        remove_worker(connection, SIGN.owner)
    assert rows(database) == 0


def test_each_sign_replaces_the_last_and_keeps_when_it_started(database: Database) -> None:
    with database.write() as connection:
        started_at = register_worker(connection, SIGN)
    last_seen(database, SIGN.owner, 30)
    with database.write() as connection:
        renew_worker(connection, replace(SIGN, busy=1.0, models=[]), started_at)
    with database.read() as connection:
        (worker,) = live_workers(connection)
    assert (worker.busy, worker.models, worker.started_at) == (1.0, [], started_at)
    assert worker.seen_at >= started_at


def test_a_row_that_is_gone_comes_back_with_the_next_sign(database: Database) -> None:
    with database.write() as connection:
        started_at = register_worker(connection, SIGN)
        remove_worker(connection, SIGN.owner)
        renew_worker(connection, SIGN, started_at)
    assert alive(database) == [SIGN.owner]


def test_a_process_that_has_the_name_of_a_dead_one_starts_anew(database: Database) -> None:
    with database.write() as connection:
        register_worker(connection, SIGN)
        connection.execute(update(WorkerProcess).values(started_at=utc_now(-3_600), seen_at=utc_now(-3_000)))
        started_at = register_worker(connection, replace(SIGN, device="gpu1@box"))
    with database.read() as connection:
        (worker,) = live_workers(connection)
    assert (worker.device, worker.started_at) == ("gpu1@box", started_at)


@pytest.mark.parametrize(("ago_s", "is_alive"), [(55, True), (65, False)])
def test_one_that_was_not_heard_of_for_a_minute_is_dead(database: Database, ago_s: float, is_alive: bool) -> None:
    with database.write() as connection:
        register_worker(connection, SIGN)
    last_seen(database, SIGN.owner, ago_s)
    assert bool(alive(database)) is is_alive
    assert rows(database) == 1


@pytest.mark.parametrize(("ago_s", "left"), [(86_000, 2), (86_800, 1)])
def test_who_died_a_day_ago_is_forgotten_when_another_comes(database: Database, ago_s: float, left: int) -> None:
    with database.write() as connection:
        register_worker(connection, SIGN)
    last_seen(database, SIGN.owner, ago_s)
    with database.write() as connection:
        register_worker(connection, replace(SIGN, owner="box:8"))
    assert rows(database) == left
    assert alive(database) == ["box:8"]


def test_chunks_under_work_are_told_by_who_holds_them(
    database: Database, new_job: Callable[..., tuple[int, list[int]]], claim: Callable[..., Claim | None]
) -> None:
    job_id, ids = new_job(4)
    for chunk_id, owner in ((ids[2], "box:7"), (ids[0], "box:7"), (ids[1], "box:8")):
        assert claim(chunk_id, owner)
    with database.read() as connection:
        assert held_chunks(connection) == {
            "box:7": [HeldChunk(job_id, ids[0]), HeldChunk(job_id, ids[2])],
            "box:8": [HeldChunk(job_id, ids[1])],
        }
