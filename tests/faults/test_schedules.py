"""Beats killed while they read, a database that is away, a Redis that is wiped: every time fires once."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text, update

from db.clock import utc_now
from db.schedule_runs import RunStatus, runs_of
from db.schedules import find_schedule
from db.tables import Job, Schedule, ScheduleRun
from tests.faults.conftest import Survived
from tests.faults.team import BERT, ON_POSTGRESQL, ON_SQLITE, Team, stop
from tests.system import Started, processes_of, wait_until

#: So that nothing fires of itself while a test runs.
YEARLY = "0 2 1 1 *"


@pytest.fixture
def nightly(team: Team) -> Path:
    """A schedule over a file of twenty reviews; returns the file."""
    path = team.write_reviews(20)
    columns = ("--text", "body", "--id", "key")
    added = team.command("schedule", "add", "nightly", "--cron", YEARLY, "--", "score", path, *columns, "--model", BERT)
    assert added.returncode == 0, added
    return path


def make_due(team: Team) -> None:
    """What is next was due a day ago."""
    with team.database.write() as connection:
        connection.execute(update(Schedule).values(next_run_at=utc_now(-86_400)))


def runs(team: Team) -> list[RunStatus]:
    with team.database.read() as connection:
        return runs_of(connection, find_schedule(connection, "nightly").id)


def jobs(team: Team) -> list[int]:
    with team.database.read() as connection:
        return list(connection.scalars(select(Job.id).order_by(Job.id)))


def enqueued(team: Team, count: int) -> bool:
    return [run.state for run in runs(team)] == ["enqueued"] * count


def readers(team: Team) -> list[int]:
    return [pid for pid, line in processes_of(team.home).items() if "cli.scheduled" in line]


@contextmanager
def reading_stuck(team: Team) -> Iterator[None]:
    """Whoever stores reviews waits for as long as the block lasts: a source that takes long to read."""
    with team.database.write() as connection:
        connection.execute(text("LOCK TABLE reviews IN ACCESS EXCLUSIVE MODE"))
        yield


def is_being_read(team: Team) -> bool:
    """Whether a process waits at the lock, with its run held."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with team.database.read() as connection:
        return bool(connection.scalar(waiting)) and [run.state for run in runs(team)] == ["running"]


@pytest.mark.usefixtures("nightly")
def test_two_beats_fire_a_missed_time_once(team: Team, survived: Survived) -> None:
    make_due(team)
    beats = [team.start("beat"), team.start("beat")]
    wait_until(lambda: enqueued(team, 1), 60)
    make_due(team)
    # The job before is still pending: nobody works.
    wait_until(lambda: [run.state for run in runs(team)] == ["skipped", "enqueued"], 30)
    for beat in beats:
        assert "Traceback" not in stop(beat)
    assert jobs(team) == [1]
    with team.database.read() as connection:
        assert find_schedule(connection, "nightly").next_run_at > datetime.now(UTC)
    survived("two beats and a time missed by a day", "it fired once; the next was skipped, for its job went on")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("nightly")
def test_kill_9_of_a_beat_that_reads(team: Team, survived: Survived) -> None:
    make_due(team)
    first = team.start("beat")
    with reading_stuck(team):
        wait_until(lambda: is_being_read(team), 60)
        # The beat first, or its last act would be to see its reader die.
        first.kill()
        for pid in readers(team):
            os.kill(pid, signal.SIGKILL)
        first.wait()
        wait_until(lambda: not readers(team), 20)
        assert [run.state for run in runs(team)] == ["running"]
        second = team.start("beat")
        wait_until(lambda: attempts(team) == [(2, 1)], 60)
    wait_until(lambda: enqueued(team, 1), 60)
    stop(second)
    assert jobs(team) == [1]
    assert team.status(1).total == 20
    survived("kill -9 of a beat and of its process that read", "the lease ran out, another read; one job was made")


def attempts(team: Team) -> list[tuple[int, int]]:
    with team.database.read() as connection:
        return [tuple(row) for row in connection.execute(select(ScheduleRun.attempt, ScheduleRun.deaths))]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("nightly")
def test_sigterm_of_a_beat_that_reads(team: Team, survived: Survived) -> None:
    make_due(team)
    first = team.start("beat")
    with reading_stuck(team):
        wait_until(lambda: is_being_read(team), 60)
        said = stop(first, 20)
        assert "run_given_back" in said
        assert not readers(team)
        assert [run.state for run in runs(team)] == ["waiting"]
    second = team.start("beat")
    wait_until(lambda: enqueued(team, 1), 60)
    stop(second)
    assert attempts(team) == [(2, 0)]
    assert jobs(team) == [1]
    survived("SIGTERM of a beat while a source is read", "the run was given back, and the next beat read it")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("nightly")
def test_a_beat_outlives_a_database_that_is_away(team: Team, survived: Survived) -> None:
    beat = team.start("beat")
    wait_until(lambda: "The beat goes on" in beat.said(), 30)
    with disconnected(team):
        wait_until(lambda: "timekeeping_failed" in beat.said(), 60)
    make_due(team)
    wait_until(lambda: enqueued(team, 1), 60)
    said = stop(beat)
    assert "Traceback" not in said
    survived("a database that let nobody in", "beat said so, waited, and fired when it was back")


@contextmanager
def disconnected(team: Team) -> Iterator[None]:
    """The database is there for nobody: those who are in are thrown out, and others are refused."""
    team.database.close()
    name = team.database.url.database
    server = create_engine(team.database.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    allow = "ALTER DATABASE {} ALLOW_CONNECTIONS {}".format
    with server.connect() as connection:
        connection.execute(text(allow(name, "false")))
        others = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
        connection.execute(others, {"name": name})
        try:
            yield
        finally:
            connection.execute(text(allow(name, "true")))
    server.dispose()


@ON_SQLITE
def test_a_source_that_is_gone_one_night(team: Team, nightly: Path, survived: Survived) -> None:
    away = nightly.with_suffix(".away")
    nightly.rename(away)
    make_due(team)
    beat = team.start("beat")
    wait_until(lambda: [run.state for run in runs(team)] == ["failed"], 60)
    assert f"no such file: '{nightly}'" in str(runs(team)[0].reason)
    away.rename(nightly)
    make_due(team)
    wait_until(lambda: [run.state for run in runs(team)] == ["enqueued", "failed"], 60)
    assert "Traceback" not in stop(beat)
    survived("a source that is gone one night", "that run failed with the reason; the next one was enqueued")


@ON_POSTGRESQL
def test_a_growing_file_and_a_wiped_redis_three_nights_in_a_row(team: Team, nightly: Path, survived: Survived) -> None:
    beat: Started = team.start("beat")
    worker = team.worker()
    for night in (1, 2, 3):
        team.redis().flushall()
        team.write_reviews(20 * night)
        make_due(team)
        wait_until(lambda: enqueued(team, night), 60)  # noqa: B023
        job = team.wait_for_end(night)
        assert (job.state, job.total, job.scored, job.params["skipped"]) == ("done", 20, 20, 20 * (night - 1))
        team.check_books(night)
    stop(beat)
    stop(worker)
    listed = json.loads(team.command("schedule", "list", "--json").stdout)
    assert (listed[0]["last_run"]["outcome"], listed[0]["last_run"]["skipped"]) == ("done", 40)
    survived("FLUSHALL before each of three nights", "each night scored what was new, and nothing twice")
