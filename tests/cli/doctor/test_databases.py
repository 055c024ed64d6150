"""The doctor at real databases, each thing broken for real."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import libfaketime
import pytest
from sqlalchemy import create_engine, text

from cli.checks.finding import Finding, Status
from db.database import Database
from db.schema import HEAD_REVISION, upgrade
from tests.cli.doctor.conftest import Examine
from tests.locked import LockedDatabase, locked_database

__all__ = ["locked_database"]


def only(found: list[Finding]) -> Finding:
    (one,) = found
    return one


@pytest.fixture
def named(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A migrated, empty database of each kind, which the settings name."""
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database.url.render_as_string(hide_password=False))
    return database


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A migrated SQLite file, which the settings name."""
    path = tmp_path / "reviewmill.db"
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.close()
    return path


@pytest.mark.usefixtures("named")
def test_a_database_as_it_should_be_has_nothing_wrong(findings: Examine) -> None:
    found = [
        one for name in ("database", "sqlite", "postgresql", "clocks", "workers", "work") for one in findings(name)
    ]
    assert len(found) == 5
    assert {one.status for one in found if one.check != "workers"} == {Status.OK}


def test_a_file_that_is_not_there_is_not_made(findings: Examine, tmp_path: Path) -> None:
    assert "is not there yet" in only(findings("database")).what
    assert not (tmp_path / "home").exists()


def test_tables_of_an_older_version_are_to_be_upgraded(named: Database, findings: Examine) -> None:
    _set_revision(named, "0009")
    one = only(findings("database"))
    assert one.status is (Status.WARNING if named.is_sqlite else Status.WRONG)
    assert "revision 0009" in one.what
    assert "reviewmill db upgrade" in one.mend
    # They are not asked, and above all not changed.
    assert findings("work") == []
    with named.read() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0009"


def test_tables_of_a_newer_version_take_a_newer_reviewmill(named: Database, findings: Examine) -> None:
    _set_revision(named, "9999")
    one = only(findings("database"))
    assert (one.status, "newer than this version's " + HEAD_REVISION in one.what) == (Status.WRONG, True)
    assert "install the version" in one.mend


def test_a_server_without_tables_is_to_be_upgraded(
    empty_postgresql_url: str, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", empty_postgresql_url)
    one = only(findings("database"))
    assert (one.status, one.mend) == (Status.WRONG, "reviewmill db upgrade")


@pytest.mark.parametrize("quick", [False, True])
def test_a_damaged_page_is_found_unless_it_is_to_be_quick(file: Path, findings: Examine, quick: bool) -> None:
    with sqlite3.connect(file) as connection:
        for number in range(2_000):
            row = (number, "s", str(number), "t" * 200, str(number), "2026-11-01 10:00:00.000000")
            insert = (
                "INSERT INTO reviews (id, source, external_id, text, text_hash, created_at) VALUES (?, ?, ?, ?, ?, ?)"
            )
            connection.execute(insert, row)
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'reviews' AND type = 'table'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with file.open("r+b") as broken:
        broken.seek((page - 1) * size)
        broken.write(os.urandom(size))
    one = only(findings("sqlite", quick=quick))
    assert one.status is (Status.OK if quick else Status.WRONG)
    assert quick or ("is damaged" in one.what and "backup" in one.mend)


def test_a_file_that_is_no_database_is_a_finding(file: Path, findings: Examine) -> None:
    file.write_bytes(b"This is a text, and long enough to be one. " * 100)
    one = only(findings("database"))
    assert (one.status, "not a database" in one.what, "backup" in one.mend) == (Status.WRONG, True, True)


def test_a_file_where_no_write_ahead_log_can_be_is_warned_of(
    file: Path, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's way of locking for disks of a network, which share no memory."""
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", f"sqlite:///file:{file}?vfs=unix-dotfile&uri=true")
    one = only(findings("sqlite"))
    assert (one.status, "not wal" in one.what) == (Status.WARNING, True)


def test_a_server_that_is_away_is_a_finding_without_its_password(
    findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", "postgresql://mill:planted-pw@127.0.0.1:9/reviews")
    one = only(findings("database"))
    assert (one.status, "start the server" in one.mend) == (Status.WRONG, True)
    assert "planted-pw" not in one.what


def test_a_database_that_takes_no_writes_is_wrong(
    postgresql_url: str, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on"))
    engine.dispose()
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", postgresql_url)
    one = only(findings("postgresql"))
    assert (one.status, "takes no writes" in one.what) == (Status.WRONG, True)


def test_a_database_of_another_encoding_is_wrong(
    postgresql_server: str, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        made = "CREATE DATABASE not_utf8 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.execute(text(made))
    url = engine.url.set(database="not_utf8").render_as_string(hide_password=False)
    engine.dispose()
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", url)
    one = only(findings("postgresql"))
    assert (one.status, "LATIN1" in one.what) == (Status.WRONG, True)


def test_what_a_user_of_few_rights_lacks_is_told(
    postgresql_url: str, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP ROLE IF EXISTS few_rights"))
        connection.execute(text("CREATE ROLE few_rights LOGIN"))
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO few_rights"))
        monkeypatch.setenv("REVIEWMILL_DATABASE_URL", _as_user(postgresql_url, "few_rights"))
        one = only(findings("postgresql"))
        assert (one.status, "may not INSERT chunks" in one.what) == (Status.WARNING, True)
        connection.execute(text("GRANT INSERT ON ALL TABLES IN SCHEMA public TO few_rights"))
        assert only(findings("postgresql")).status is Status.OK
        connection.execute(text("REVOKE SELECT ON models FROM few_rights"))
        first, *_ = findings("postgresql")
        assert (first.status, "may not read models" in first.what) == (Status.WRONG, True)
        assert first.mend.endswith("GRANT SELECT ON models TO few_rights")
        connection.execute(text("DROP OWNED BY few_rights"))
        connection.execute(text("DROP ROLE few_rights"))
    engine.dispose()


@pytest.mark.parametrize("user", ["producer", "worker"])
def test_the_users_that_we_ship_are_well(
    user: str, locked_database: LockedDatabase, findings: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", locked_database.url(user))
    found = [*findings("database"), *findings("postgresql"), *findings("models"), *findings("work")]
    assert {one.status for one in found} == {Status.OK}, found
    assert len(found) == 4


@pytest.mark.usefixtures("team_redis")
def test_a_clock_that_is_wrong_by_an_hour_is_told(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", postgresql_url)
    _, preload = libfaketime.get_reload_information()
    # The pure clock alone: what waits for something must wait as ever.
    wrong_clock = {**preload, "FAKETIME": "-1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    program = [sys.executable, "-m", "cli.main", "doctor", "--quick", "--json"]
    done = subprocess.run(
        program, env={**os.environ, **wrong_clock}, capture_output=True, text=True, timeout=120, check=False
    )
    for who in ("the database", "Redis"):
        assert f"the clock of {who} is 3,600 s ahead of this machine's" in done.stdout, done.stdout + done.stderr
    assert "chrony" in done.stdout
    assert done.returncode == 1


def _set_revision(database: Database, revision: str) -> None:
    with database.write() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))


def _as_user(url: str, user: str) -> str:
    engine = create_engine(url)
    return engine.url.set(username=user).render_as_string(hide_password=False)
