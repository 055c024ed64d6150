"""Time as the database tells it.

Leases and deadlines compare times that several machines wrote. Only one clock is common
to them, the database's, so no Python time is ever stored in a lease.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, DateTime, Dialect, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC (SQLite has no time zones and keeps it naive)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware time of any zone into UTC."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class utc_now(ColumnElement[datetime]):  # noqa: N801 (reads as the SQL function it is)
    """The database's clock now, moved by ``offset_s`` seconds."""

    # The offset is part of the text, so statements are told apart by it; not to keep them compiled would cost more
    # than most of them take to run.
    inherit_cache = True
    _traverse_internals = [("offset_s", InternalTraversal.dp_plain_obj)]  # noqa: RUF012 (as SQLAlchemy declares it)
    type = UtcDateTime()

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = float(offset_s)


@compiles(utc_now, "sqlite")
def _sqlite_now(element: utc_now, compiler: SQLCompiler, **_: object) -> str:
    # SQLAlchemy keeps six decimals of a second and SQLite tells three; the text form must match
    # for times to compare. (The subsecond forms of unixepoch are missing from SQLite 3.40.)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', '{element.offset_s:+.3f} seconds') || '000')"


@compiles(utc_now, "postgresql")
def _postgresql_now(element: utc_now, compiler: SQLCompiler, **_: object) -> str:
    # clock_timestamp, not now(): a long transaction must not live in the past.
    return f"(clock_timestamp() + make_interval(secs => {element.offset_s:.3f}))"


def database_time(connection: Connection) -> datetime:
    """What the database's clock says, in UTC: for times that are reckoned here and stored there."""
    now = connection.scalar(select(utc_now()))
    assert now is not None
    return now
