"""Many rows in one go: every value as it went in, on both databases, whatever was there before."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DataError, IntegrityError

from db.bulk import BulkInsert, insert_rows
from db.database import Database
from db.errors import DatabaseUnreachable
from db.tables import Review

COLUMNS = ("source", "external_id", "text", "text_pair", "text_hash")
KEY = ("source", "external_id", "text_hash")
MISSING = BulkInsert("reviews", COLUMNS, "created_at", KEY)
LATEST = BulkInsert("reviews", COLUMNS, "created_at", KEY, replaces=True)
ODD = "tab\t backslash \\ \\N newline\n return\r quote ' \" emoji 👩‍👩‍👧 עברית \u2028 \ufeff"


def row(name: str, text: str = "good", pair: str | None = None) -> tuple[str, str, str, str | None, str]:
    return ("file.csv", name, text, pair, f"hash of {name}")


@pytest.fixture
def writing(database: Database) -> Iterator[Connection]:
    with database.write() as connection:
        yield connection


def texts(connection: Connection) -> list[tuple[str, str, str | None]]:
    columns = (Review.external_id, Review.text, Review.text_pair)
    return [tuple(found) for found in connection.execute(select(*columns).order_by(Review.id))]


def test_every_value_is_kept_as_it_came(writing: Connection) -> None:
    insert_rows(writing, MISSING, [row("1", ODD, ""), row("2", "", ODD), row("3", "\\N", None)])
    assert texts(writing) == [("1", ODD, ""), ("2", "", ODD), ("3", "\\N", None)]


def test_the_clock_is_the_databases(writing: Connection) -> None:
    insert_rows(writing, MISSING, [row("1"), row("2")])
    for created_at in writing.scalars(select(Review.created_at)):
        assert abs(datetime.now(UTC) - created_at) < timedelta(minutes=5)


def test_rows_that_are_there_are_left_alone(writing: Connection) -> None:
    insert_rows(writing, MISSING, [row("1"), row("2")])
    insert_rows(writing, MISSING, [row("2", "other"), row("3"), row("3", "twice")])
    assert texts(writing) == [("1", "good", None), ("2", "good", None), ("3", "good", None)]


def test_rows_that_are_there_are_overwritten(writing: Connection) -> None:
    insert_rows(writing, LATEST, [row("1", pair="so"), row("2")])
    insert_rows(writing, LATEST, [row("1", "other"), row("3")])
    assert texts(writing) == [("1", "other", None), ("2", "good", None), ("3", "good", None)]


def test_ids_are_told_only_where_they_are_certain(writing: Connection) -> None:
    told = insert_rows(writing, MISSING, [row("b"), row("a")])
    assert told is None or list(told) == list(writing.scalars(select(Review.id).order_by(Review.id)))
    assert insert_rows(writing, MISSING, [row("a"), row("c")]) is None
    assert insert_rows(writing, MISSING, [row("d"), row("d")]) is None
    assert insert_rows(writing, LATEST, [row("e")]) is None
    assert insert_rows(writing, MISSING, []) is None


def test_ids_follow_the_order_given(writing: Connection) -> None:
    names = [f"{number * 7919 % 5003}" for number in range(5003)]
    insert_rows(writing, MISSING, [row(name) for name in names])
    assert list(writing.scalars(select(Review.external_id).order_by(Review.id))) == names


def test_a_row_that_breaks_a_rule_takes_all_with_it(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        insert_rows(connection, MISSING, [row("1"), (*row("2")[:2], None, None, "hash")])
    with database.write() as connection:  # the connection is fit for use again
        insert_rows(connection, MISSING, [row("3")])
        assert [name for name, *_ in texts(connection)] == ["3"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_nul_is_refused_by_postgresql(database: Database) -> None:
    with pytest.raises(DataError, match="NUL"), database.write() as connection:
        insert_rows(connection, MISSING, [row("1"), row("2", "a\0b")])
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Review)) == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_goes_away_during_the_copy_is_unreachable(database: Database) -> None:
    def cut_off(own: int) -> Iterator[tuple[object, ...]]:
        with database.write() as other:
            other.exec_driver_sql(f"SELECT pg_terminate_backend({own}, 5000)")
        # More than the sockets take in silence.
        yield from (row(f"{number}", "x" * 10_000) for number in range(2_000))

    def insert() -> None:
        with database.write() as connection:
            own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            insert_rows(connection, MISSING, _Endless(cut_off(own)))  # type: ignore[arg-type]

    with pytest.raises(DatabaseUnreachable, match="cannot be used"):
        insert()
    with database.write() as connection:
        insert_rows(connection, MISSING, [row("1")])


class _Endless:
    """Rows that come one by one, the first of them late."""

    def __init__(self, rows: Iterator[tuple[object, ...]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        return self._rows
