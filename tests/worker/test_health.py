"""A machine is healthy while SQL hears of a worker of its own, and of no other's."""

import socket
from dataclasses import replace

import pytest
from sqlalchemy import update

from db.clock import utc_now
from db.database import Database
from db.tables import WorkerProcess
from db.workers import DEAD_AFTER_S, SignOfLife, register_worker
from worker import health

SIGN = SignOfLife(
    owner="box:7",
    host="box",
    pid=7,
    device="cpu@box",
    queues=["score"],
    engine="openvino",
    models=[],
    version="0.1.0",
    reviews_per_s=0.0,
    busy=0.0,
)
MINE = replace(SIGN, owner=f"{socket.gethostname()}:8", host=socket.gethostname(), device="cpu@here")


@pytest.fixture(autouse=True)
def settings(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)


def register(database: Database, sign: SignOfLife) -> None:
    with database.write() as connection:
        register_worker(connection, sign)


def test_workers_of_other_machines_are_no_sign_of_this_one(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    register(database, SIGN)
    assert health.main() == 1
    assert capsys.readouterr().err == f"Error: no worker of {MINE.host} gave a sign of life in the last 60 s\n"
    register(database, MINE)
    assert health.main() == 0
    assert capsys.readouterr().out == "cpu@here\n"


def test_a_worker_that_was_not_heard_of_for_long_is_not_healthy(database: Database) -> None:
    register(database, MINE)
    with database.write() as connection:
        connection.execute(update(WorkerProcess).values(seen_at=utc_now(-DEAD_AFTER_S - 1)))
    assert health.main() == 1


def test_nobody_can_tell_without_the_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql://mill:planted@127.0.0.1:9/reviews")
    assert health.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: the database postgresql+psycopg://mill:***@127.0.0.1:9/reviews cannot be used")
    assert said.count("\n") == 1
