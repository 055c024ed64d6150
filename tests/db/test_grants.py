"""The users that are shipped for PostgreSQL, on a real server: what each may do, and that it may do nothing else."""

import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import ProgrammingError

from db.database import Database
from db.errors import NotPermitted
from db.schema import current_revision
from db.tables import Base
from tests.locked import LockedDatabase, locked_database

__all__ = ["locked_database"]

USERS = ("producer", "worker", "reader")
HIDDEN = {
    "producer": "",
    "worker": "corrections schedules schedule_runs latest_predictions job_summary label_by_day model_disagreements",
    "reader": "notifications schedules",
}
INSERTS = {
    "producer": "reviews models jobs chunks failures examples corrections notifications schedules schedule_runs",
    "worker": "models chunks failures predictions job_counts precisions token_budgets training_metrics workers",
    "reader": "",
}
UPDATES = {
    "producer": "reviews models jobs chunks corrections notifications schedules schedule_runs",
    "worker": "models jobs chunks predictions job_counts precisions token_budgets workers notifications",
    "reader": "",
}
DELETES = {"producer": "failures schedules schedule_runs", "worker": "training_metrics workers", "reader": ""}
#: Columns that a user must never change, whatever else it may of the table.
NEVER = {
    ("producer", "reviews"): "source external_id text text_pair text_hash",
    ("producer", "models"): "name version digest labels metrics",
    ("producer", "jobs"): "kind model_id params priority total",
    ("worker", "models"): "name version digest labels metrics aliases",
    ("worker", "jobs"): "kind params priority total schedule_id",
    ("worker", "chunks"): "job_id position",
    ("worker", "notifications"): "job_id url delivery_id",
}
REFUSED = {
    "producer": [
        "DELETE FROM reviews",
        "UPDATE reviews SET text = 'another'",
        "INSERT INTO predictions (review_id, model_id, job_id, label) VALUES (1, 1, 1, 'good')",
        "UPDATE predictions SET label = 'good'",
        "DELETE FROM jobs",
    ],
    "worker": [
        "INSERT INTO reviews (source, external_id, text, text_hash) VALUES ('s', '1', 't', 'h')",
        "UPDATE reviews SET text = 'another'",
        "DELETE FROM predictions",
        "INSERT INTO jobs (kind) VALUES ('score')",
        "UPDATE models SET digest = 'another'",
        "SELECT * FROM schedules",
    ],
    "reader": [
        "INSERT INTO reviews (source, external_id, text, text_hash) VALUES ('s', '1', 't', 'h')",
        "UPDATE jobs SET state = 'done'",
        "DELETE FROM predictions",
        "SELECT url FROM notifications",
        "SELECT nextval('reviews_id_seq')",
    ],
}
#: Of everybody.
DEFINITIONS = [
    "CREATE TABLE mine (id int)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE reviews ADD COLUMN mine int",
    "DROP TABLE predictions",
    "TRUNCATE predictions",
    "CREATE INDEX ON reviews (source)",
    "CREATE ROLE mine",
    "CREATE SCHEMA mine",
    "UPDATE alembic_version SET version_num = '0'",
    "COPY reviews TO PROGRAM 'cat'",
    "SET ROLE reviewmill_owner",
]


def relations(locked: LockedDatabase) -> set[str]:
    """Every table and view."""
    with locked.connect("owner") as connection:
        found = inspect(connection)
        return {*found.get_table_names(), *found.get_view_names()}


def may(connection: Connection, privilege: str, *, of: str = "has_any_column_privilege") -> set[str]:
    """The tables and views of which the connection's user has the privilege, if only on a column."""
    ours = "relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    return set(connection.scalars(text(f"SELECT relname FROM pg_class WHERE {ours} AND {of}(oid, '{privilege}')")))


def test_every_table_and_view_has_its_line(locked_database: LockedDatabase) -> None:
    """A new one has to be thought about: until it is named it is the owner's alone."""
    granted = set()
    for user in USERS:
        with locked_database.connect(user) as connection:
            granted |= may(connection, "SELECT")
    assert granted == relations(locked_database) > set(Base.metadata.tables)


@pytest.mark.parametrize("user", USERS)
def test_a_user_has_these_rights_and_no_others(locked_database: LockedDatabase, user: str) -> None:
    with locked_database.connect(user) as connection:
        assert may(connection, "SELECT") == relations(locked_database) - set(HIDDEN[user].split())
        assert may(connection, "INSERT") == set(INSERTS[user].split())
        assert may(connection, "UPDATE") == set(UPDATES[user].split())
        assert may(connection, "REFERENCES") == set()
        assert may(connection, "DELETE", of="has_table_privilege") == set(DELETES[user].split())
        assert may(connection, "TRUNCATE, TRIGGER, MAINTAIN", of="has_table_privilege") == set()
        for (of_user, table), columns in NEVER.items():
            for column in columns.split() if of_user == user else ():
                asked = f"SELECT has_column_privilege('{table}', '{column}', 'UPDATE')"
                assert not connection.scalar(text(asked)), (table, column)


@pytest.mark.parametrize("user", USERS)
def test_a_user_is_refused_what_is_not_its_own(locked_database: LockedDatabase, user: str) -> None:
    with locked_database.connect(user) as connection:
        for statement in [*REFUSED[user], *DEFINITIONS]:
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner|must be able"):
                connection.execute(text(statement))
            connection.rollback()


def test_a_right_cannot_be_handed_on(locked_database: LockedDatabase) -> None:
    with locked_database.connect("producer") as connection:
        # PostgreSQL only warns of it.
        connection.execute(text("GRANT INSERT ON reviews TO reviewmill_reader"))
        connection.commit()
    with locked_database.connect("reader") as connection:
        assert may(connection, "INSERT") == set()


def test_rights_are_granted_anew_and_nothing_is_left_of_old_ones(locked_database: LockedDatabase) -> None:
    with locked_database.connect("owner") as connection:
        connection.execute(text("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC, reviewmill_reader"))
        connection.commit()
    locked_database.run("roles.sql")
    locked_database.run("tables.sql", "owner")
    with locked_database.connect("reader") as connection:
        assert may(connection, "SELECT") == relations(locked_database) - set(HIDDEN["reader"].split())
        assert may(connection, "INSERT") == set()


def test_who_is_refused_is_told_in_a_line(locked_database: LockedDatabase) -> None:
    database = Database(locked_database.url("reader"))
    assert current_revision(database) is not None
    told_in = r"does not let this user do that: permission denied for table jobs$"
    with pytest.raises(NotPermitted, match=told_in) as told, database.write() as connection:
        connection.execute(text("DELETE FROM jobs"))
    assert "\n" not in str(told.value)
    database.close()
