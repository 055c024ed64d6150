"""Firing what is due: once, and whatever is wrong with another schedule."""

from datetime import UTC, datetime, timedelta

from db.clock import database_time
from db.database import Database
from db.schedule_runs import last_runs
from db.schedules import add_schedule, list_schedules
from producer.schedules import fire_due

LONG_AGO = datetime(2026, 1, 1, 2, tzinfo=UTC)


def add(database: Database, name: str, timezone: str = "UTC", cron: str = "0 2 * * *") -> None:
    params = {"arguments": [], "directory": "/", "overlap": "skip", "rescore": False}
    with database.write() as connection:
        add_schedule(
            connection, name, cron=cron, timezone=timezone, command="score", params=params, next_run_at=LONG_AGO
        )


def test_a_year_of_missed_nights_fires_once_and_goes_on_with_the_next(database: Database) -> None:
    add(database, "nightly")
    add(database, "hourly", cron="0 * * * *")
    assert fire_due(database) == 2
    assert fire_due(database) == 0
    with database.read() as connection:
        hourly, nightly = list_schedules(connection)
        now, runs = database_time(connection), last_runs(connection)
    assert [run.state for run in runs.values()] == ["waiting", "waiting"]
    assert now < nightly.next_run_at <= now + timedelta(days=1)
    assert (nightly.next_run_at.hour, nightly.next_run_at.minute) == (2, 0)
    assert now < hourly.next_run_at <= now + timedelta(hours=1)
    assert abs(nightly.last_run_at - now) < timedelta(seconds=30)


def test_a_zone_that_is_not_known_here_keeps_no_other_schedule_from_firing(database: Database) -> None:
    add(database, "a", timezone="Europe/Atlantis")
    add(database, "b")
    assert fire_due(database) == 1
    with database.read() as connection:
        astray, nightly = list_schedules(connection)
    assert astray.next_run_at == LONG_AGO
    assert nightly.next_run_at > LONG_AGO
