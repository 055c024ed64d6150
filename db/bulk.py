"""Many rows in one go, the way each database takes them fastest.

SQLite runs one prepared INSERT over all rows inside its driver. PostgreSQL takes the rows by COPY into a temporary
table, from which one INSERT moves them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, select, type_coerce
from sqlalchemy.exc import DBAPIError

from db.clock import utc_now


@dataclass(frozen=True, slots=True)
class BulkInsert:
    """An INSERT of many rows into one table.

    `columns` are those that a row gives, in its order, and `clock` is the column that gets the database's time. A
    row that is there already, by the columns of `key`, has all others overwritten where `replaces` is true, and is
    left alone where it is not.
    """

    table: str
    columns: tuple[str, ...]
    clock: str
    key: tuple[str, ...]
    replaces: bool = False

    @property
    def on_conflict(self) -> str:
        """What to do with a row that is there already, as both databases spell it."""
        replaced = [name for name in (*self.columns, self.clock) if name not in self.key]
        new = ", ".join(f"{name} = excluded.{name}" for name in replaced)
        return f"ON CONFLICT ({', '.join(self.key)}) DO " + (f"UPDATE SET {new}" if self.replaces else "NOTHING")


def insert_rows(connection: Connection, into: BulkInsert, rows: Sequence[tuple[Any, ...]]) -> range | None:
    """Insert the rows in the order given, values as the driver takes them: JSON as its text, flags as bool.

    Returns the ids of the rows, in their order, where every one was new and the database tells them for nothing,
    which is SQLite. Otherwise None. A key may stand in several rows only where `replaces` is false.
    """
    if not rows:
        return None
    if connection.dialect.name == "sqlite":
        return _insert_prepared(connection, into, rows)
    _insert_copied(connection, into, rows)
    return None


def _insert_prepared(connection: Connection, into: BulkInsert, rows: Sequence[tuple[Any, ...]]) -> range | None:
    # One look at the clock for all: asked for each row, the time would cost as much as the row.
    now = connection.scalar(select(type_coerce(utc_now(), String)))
    values = ", ".join("?" * len(into.columns))
    target = f"INSERT INTO {into.table} ({', '.join(into.columns)}, {into.clock})"
    inserted = connection.exec_driver_sql(f"{target} VALUES ({values}, '{now}') {into.on_conflict}", rows)
    if into.replaces or inserted.rowcount != len(rows):
        return None
    # SQLite gives each new row the id that follows the largest, and nobody else writes meanwhile.
    last = connection.exec_driver_sql("SELECT last_insert_rowid()").scalar_one()
    return range(last - len(rows) + 1, last + 1)


def _insert_copied(connection: Connection, into: BulkInsert, rows: Sequence[tuple[Any, ...]]) -> None:
    names, passing = ", ".join(into.columns), f"passing_{into.table}"
    # Made once a connection: a table for each transaction would fill the server's catalogue with dead rows.
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {passing} ON COMMIT DELETE ROWS "
        f"AS SELECT {names} FROM {into.table} WITH NO DATA"
    )
    connection.exec_driver_sql(f"DELETE FROM {passing}")
    with _as_sqlalchemy_tells_it(connection):
        _copy(connection, f"COPY {passing} ({names}) FROM STDIN", rows)
    # In the order copied, which is the order that the caller's locks are taken in.
    connection.exec_driver_sql(
        f"INSERT INTO {into.table} ({names}, {into.clock}) "
        f"SELECT {names}, clock_timestamp() FROM {passing} ORDER BY {passing}.ctid {into.on_conflict}"
    )


def _copy(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _as_sqlalchemy_tells_it(connection: Connection) -> Iterator[None]:
    """Raise the driver's errors as SQLAlchemy would: COPY goes past it."""
    kinds = connection.dialect.loaded_dbapi.Error
    try:
        yield
    except kinds as error:
        if connection.connection.driver_connection.closed:  # type: ignore[union-attr]
            connection.invalidate()
        raise DBAPIError.instance(None, None, error, kinds, dialect=connection.dialect) from error
