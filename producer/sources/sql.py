"""Tables and queries of any database that SQLAlchemy reaches, read through a cursor of the server."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    NullPool,
    TableClause,
    column,
    create_engine,
    event,
    func,
    inspect,
    select,
    table,
)
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from producer.errors import SourceError, unknown_name
from producer.sources.base import Record, Unreadable
from producer.sources.breaks import telling_rows
from producer.sources.decimals import as_number
from producer.sources.sql_url import SqlUrl, parse_sql_url

#: Rows fetched at a time; the rest stays with the server.
FETCHED_ROWS = 1_000
#: A server that does not answer in this time is called unreachable.
_CONNECT_TIMEOUT_S = 10


class SqlSource:
    """The rows of a table, a view or a query; `row` counts them from 1, in the order in which they come.

    They are read in a transaction that only reads, where the database knows such (SQLite and PostgreSQL do). Memory
    stays flat. Values come as the driver has them, decimal numbers as whole ones or floats.

    Raises SourceError in one line, without the password.
    """

    def __init__(self, rest: str) -> None:
        self._url = parse_sql_url(rest)
        self._engine = _engine(self._url)
        self.name = self._url.name
        self.notices: list[str] = []
        with self._connected() as connection:
            self._table = None if self._url.table is None else _find_table(connection, self._url.table)
            self._columns = self._find_columns(connection)
        self._counted: int | None = None
        self._told = 0

    def columns(self) -> list[str] | None:
        """Return the columns in order."""
        return list(self._columns)

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Every row as it comes, of a table with the columns of `only` where it is given."""
        return telling_rows(self._records([name for name in self._columns if only is None or name in only]))

    def rows(self) -> int | None:
        """Return the number of rows, which the database counts once; None of a query that it cannot count."""
        if self._counted is None:
            try:
                with self._connected() as connection:
                    self._counted = self._count(connection)
            except SourceError:
                return None
        return self._counted

    def share_read(self) -> float | None:
        """Return the share of the rows that the latest `records` has given, where `rows` has counted them."""
        if self._counted is None:
            return None
        return min(1.0, self._told / max(1, self._counted))

    def _records(self, columns: list[str]) -> Iterator[Record]:
        self._told = 0
        with self._connected() as connection:
            result = self._result(connection, columns)
            names = list(result.keys())
            for values in result:
                self._told += 1
                plain = [as_number(value) if isinstance(value, Decimal) else value for value in values]
                yield Record(self._told, dict(zip(names, plain, strict=True)))

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            reason = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
            raise SourceError(self._url.without_secrets(f"{self.name} can not be read: {reason}")) from error

    def _find_columns(self, connection: Connection) -> list[str]:
        if self._table is not None:
            return [one["name"] for one in inspect(connection).get_columns(self._table.name, self._table.schema)]
        result = self._result(connection, [])
        if not result.returns_rows:
            raise SourceError(f"{self.name} gives no rows; a query of a source is a SELECT")
        names = list(result.keys())
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise SourceError(f"{self.name} names {repeated[0]!r} more than once; every column needs its own name")
        return names

    def _result(self, connection: Connection, columns: list[str]) -> CursorResult[Any]:
        options = {"stream_results": True, "yield_per": FETCHED_ROWS}
        if self._table is None:
            return _as_it_stands(connection.execution_options(**options), str(self._url.query))
        selected: Any = select(*map(column, columns)).select_from(self._table)
        return connection.execute(selected, execution_options=options)

    def _count(self, connection: Connection) -> int:
        if self._table is None:
            counting = f"SELECT count(*) FROM ({self._url.query}) AS counted"  # noqa: S608 - the query is the user's
            return _as_it_stands(connection, counting).scalar_one()
        return connection.execute(select(func.count()).select_from(self._table)).scalar_one()


def _as_it_stands(connection: Connection, query: str) -> CursorResult[Any]:
    # Without parameters a percent sign or a colon is what it is in the query.
    return connection.execution_options(no_parameters=True).exec_driver_sql(query)


def _find_table(connection: Connection, name: str) -> TableClause:
    """The table or view of that name, its schema before it where it is in another than usual."""
    inspector = inspect(connection)
    schema, _, bare = name.rpartition(".")
    for schema_of_it, its_name in ((None, name), (schema or None, bare)):
        if inspector.has_table(its_name, schema_of_it):
            return table(its_name, schema=schema_of_it)
    known = sorted([*inspector.get_table_names(), *inspector.get_view_names()])
    raise SourceError(unknown_name("table", name, known))


def _engine(url: SqlUrl) -> Engine:
    backend = url.database.get_backend_name()
    _check_file(url)
    options: dict[str, Any] = {}
    if backend == "postgresql":
        options["execution_options"] = {"postgresql_readonly": True}
        if "connect_timeout" not in url.database.query:
            options["connect_args"] = {"connect_timeout": _CONNECT_TIMEOUT_S}
    try:
        engine = create_engine(url.database, poolclass=NullPool, hide_parameters=True, **options)
    except (NoSuchModuleError, ImportError) as error:
        advice = "install its driver, or name another as in mysql+pymysql://"
        raise SourceError(f"{backend} databases can not be read here ({error}); {advice}") from error
    if backend == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _check_file(url: SqlUrl) -> None:
    # SQLite would make an empty database of a name that is mistyped.
    path = url.database.database or ""
    if url.database.get_backend_name() == "sqlite" and not path.startswith("file:") and not Path(path).is_file():
        raise SourceError(f"no such file: {path!r}")


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA query_only = ON")
    # A text that is not UTF-8 is one bad row, not the end of the source.
    connection.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
