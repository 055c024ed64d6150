"""Migrations of a series only add what older code need not know, so that workers of two versions work side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Inspector, inspect, text

import db.migrations
from db.database import Database
from db.errors import SchemaMismatch
from db.schema import HEAD_REVISION, current_revision, open_database, upgrade
from db.settings import DatabaseSettings

CONFIG = Config()
CONFIG.set_main_option("script_location", str(Path(db.migrations.__path__[0])))
#: Before this one, every version wanted its own revision and no other.
BEGIN = "0014"
NEXT = f"{int(HEAD_REVISION) + 1:04}"


def since_the_beginning() -> list[str]:
    scripts = ScriptDirectory.from_config(CONFIG).walk_revisions()
    return sorted(script.revision for script in scripts if script.revision > BEGIN)


def what_breaks(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What code that knows the tables as they were before may stumble over."""
    found = [f"{name} is gone" for name in before if name not in after]
    for name in set(before) & set(after):
        found += [f"{name}.{column} is not what it was" for column in _changed(before[name], after[name])]
        new = {
            column: facts for column, facts in after[name]["columns"].items() if column not in before[name]["columns"]
        }
        found += [f"{name}.{column} must be given" for column, (_, optional) in new.items() if not optional]
        found += [f"{name} has a new rule: {rule}" for rule in after[name]["rules"] - before[name]["rules"]]
    for name in set(after) - set(before):
        found += [f"{name} holds rows of {table}" for table in after[name]["holds"] & set(before)]
    return sorted(found)


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [name for name, facts in before["columns"].items() if after["columns"].get(name) != facts]


def described(connection: Connection) -> dict[str, Any]:
    """Of each table and view: its columns, which an INSERT may leave out; its rules; tables whose rows it holds."""
    inspector = inspect(connection)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    return {name: _described(inspector, name) for name in names}


def _described(inspector: Inspector, table: str) -> dict[str, Any]:
    columns = {
        one["name"]: (str(one["type"]), bool(one["nullable"] or one["default"] or one.get("autoincrement") is True))
        for one in inspector.get_columns(table)
    }
    unique = [one["column_names"] for one in inspector.get_indexes(table) if one["unique"]]
    unique += [one["column_names"] for one in inspector.get_unique_constraints(table)]
    foreign = inspector.get_foreign_keys(table)
    checks = [one["sqltext"] for one in inspector.get_check_constraints(table)]
    rules = {f"unique {sorted(map(str, names))}" for names in unique}
    rules |= {f"{one['constrained_columns']} in {one['referred_table']}" for one in foreign}
    rules |= {f"check {one}" for one in checks}
    holds = {one["referred_table"] for one in foreign if one["options"].get("ondelete") not in ("CASCADE", "SET NULL")}
    return {"columns": columns, "rules": rules, "holds": holds}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest) -> Database:
    """A database of each kind, in turn, without a table."""
    return Database(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "empty_postgresql_url"))


@pytest.mark.parametrize("revision", since_the_beginning())
def test_a_migration_only_adds(empty: Database, revision: str) -> None:
    if revision.endswith("000"):
        return  # the first of a new series
    script = ScriptDirectory.from_config(CONFIG).get_revision(revision)
    with empty.write() as connection:
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, str(script.down_revision))
        before = described(connection)
        command.upgrade(CONFIG, revision)
        assert what_breaks(before, described(connection)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE schedules DROP COLUMN cron", "schedules.cron is not what it was"),
        ("ALTER TABLE schedules RENAME COLUMN cron TO line", "schedules.cron is not what it was"),
        ("CREATE UNIQUE INDEX one_source ON reviews (source)", "reviews has a new rule: unique ['source']"),
        ("CREATE TABLE later (id INTEGER, FOREIGN KEY(id) REFERENCES jobs (id))", "later holds rows of jobs"),
        ("DROP VIEW job_summary", "job_summary is gone"),
    ],
)
def test_what_is_more_than_adding_is_seen(database: Database, change: str, said: str) -> None:
    with database.write() as connection:
        before = described(connection)
        connection.execute(text(change))
        assert said in what_breaks(before, described(connection))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE jobs ADD COLUMN later INTEGER NOT NULL", "jobs.later must be given"),
        ("ALTER TABLE jobs ALTER COLUMN error SET NOT NULL", "jobs.error is not what it was"),
        ("ALTER TABLE jobs ADD CHECK (total < 1000)", "jobs has a new rule: check total < 1000"),
    ],
)
def test_what_only_a_server_can_change_is_seen_too(postgresql_url: str, change: str, said: str) -> None:
    test_what_is_more_than_adding_is_seen(Database(postgresql_url), change, said)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE chunks ADD COLUMN later INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE chunks ADD COLUMN later INTEGER",
        "CREATE INDEX later ON chunks (size)",
        "CREATE TABLE later (id INTEGER, FOREIGN KEY(id) REFERENCES jobs (id) ON DELETE CASCADE)",
    ],
)
def test_what_only_adds_is_let_pass(database: Database, change: str) -> None:
    with database.write() as connection:
        before = described(connection)
        connection.execute(text(change))
        assert what_breaks(before, described(connection)) == []


def at_revision(database: Database, revision: str) -> DatabaseSettings:
    """Say that the tables are at this revision."""
    upgrade(database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    return DatabaseSettings(database_url=database.url.render_as_string(hide_password=False))


@pytest.mark.parametrize("revision", [NEXT, f"{HEAD_REVISION[0]}999"])
def test_tables_of_a_later_version_of_the_series_are_worked_with_and_left_alone(
    database: Database, revision: str
) -> None:
    settings = at_revision(database, revision)
    assert current_revision(open_database(settings)) == revision
    upgrade(database)
    assert current_revision(database) == revision


def test_tables_of_a_later_series_are_refused_in_one_line(database: Database) -> None:
    revision = f"{int(HEAD_REVISION[0]) + 1}000"
    settings = at_revision(database, revision)
    works: list[Callable[[], object]] = [lambda: open_database(settings), lambda: upgrade(database)]
    for work in works:
        with pytest.raises(SchemaMismatch, match=f"at revision {revision}, of a newer version .*: install") as raised:
            work()
        assert "\n" not in str(raised.value)
    assert current_revision(database) == revision


def test_tables_of_an_earlier_version_are_refused_on_a_server_and_what_to_run_is_said(
    empty_postgresql_url: str,
) -> None:
    database = Database(empty_postgresql_url)
    with database.write() as connection:
        CONFIG.attributes["connection"] = connection
        command.upgrade(CONFIG, BEGIN)
    with pytest.raises(SchemaMismatch, match=f"at revision {BEGIN}, .* run: reviewmill db upgrade"):
        open_database(DatabaseSettings(database_url=empty_postgresql_url))
