"""Connections and transactions, the same for SQLite and PostgreSQL."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import DatabaseError as SomeDatabaseError

from db.errors import DatabaseError, DatabaseUnreachable, NotPermitted

#: How long a SQLite writer waits for another: longer than the longest transaction of ours.
SQLITE_BUSY_TIMEOUT_MS = 60_000
#: A server that does not answer in this time is called unreachable.
CONNECT_TIMEOUT_S = 5
#: A connection over which nothing is acknowledged for this long is dead. Without it a worker that is cut off
#: from its server would wait for hours on a write, instead of noticing that its lease runs out.
_DEAD_CONNECTION_S = 15
#: PostgreSQL's code for what the user has no right to.
_INSUFFICIENT_PRIVILEGE = "42501"
#: Parameters of a URL that are so called are shown to nobody: `password`, `sslpassword`, `sslkey`.
_SECRET = re.compile("pass|secret|token|key", re.IGNORECASE)


class Database:
    """One database. `read()` and `write()` give a connection inside a transaction.

    A write transaction of SQLite takes the write lock at its start (BEGIN IMMEDIATE), so it never
    fails halfway for having read first; a read transaction never blocks anybody.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        engine = _sqlite_engine(self.url) if self.is_sqlite else _postgresql_engine(self.url)
        self.engine = engine
        self._writer = engine.execution_options(reviewmill_writes=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file of ours rather than a server."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def place(self) -> str:
        """Where the data are, fit to be shown: a file's path, or a URL without its password."""
        if self.is_sqlite:
            return str(self.url.database)
        return _public(self.url).render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one consistent picture of the database."""
        with self._speaking_plainly(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: committed at the end, rolled back on any error."""
        with self._speaking_plainly(), self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def _speaking_plainly(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
                raise NotPermitted(f"the database {self.place} does not let this user do that: {error.orig}") from error
            # Other kinds, a constraint that was broken say, are faults of the program.
            if not isinstance(error, OperationalError | InterfaceError) and type(error) is not SomeDatabaseError:
                raise
            reason = str(error.orig).strip().splitlines()[0]
            raise DatabaseUnreachable(f"the database {self.place} cannot be used: {reason}") from error


def place_of(url: str) -> str:
    """Where the data of that URL are, the same however it is written, without its password. Raises DatabaseError."""
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return str(Path(str(parsed.database)).absolute())
    # Its own `set` takes None for nothing said.
    return _public(parsed)._replace(password=None).render_as_string()


def _public(url: URL) -> URL:
    """The URL without parameters that may be secret; its password is a matter of rendering it."""
    return url.difference_update_query([name for name in url.query if _SECRET.search(name)])


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseError(
            "REVIEWMILL_DATABASE_URL is not a database URL; write sqlite:///FILE "
            "or postgresql+psycopg://USER:PASSWORD@HOST:5432/NAME"
        ) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise DatabaseError(f"{backend} databases are not supported; use sqlite or postgresql")
    if parsed.database in (None, "", ":memory:"):
        raise DatabaseError("a SQLite database must be a file that several processes can open")
    # Meant from here: a scheduled command is read from the folder that it was given in.
    return parsed if parsed.database.startswith("file:") else parsed.set(database=os.path.abspath(parsed.database))


_CONNECT_ARGUMENTS = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": _DEAD_CONNECTION_S // 3,
    "keepalives_interval": _DEAD_CONNECTION_S // 3,
    "keepalives_count": 2,
    "tcp_user_timeout": _DEAD_CONNECTION_S * 1000,
}

#: In seconds, but for the last, which is in milliseconds. Over a unix socket they mean nothing.
_SERVER_SETTINGS = {
    "tcp_keepalives_idle": _DEAD_CONNECTION_S // 3,
    "tcp_keepalives_interval": _DEAD_CONNECTION_S // 3,
    "tcp_keepalives_count": 2,
    "tcp_user_timeout": _DEAD_CONNECTION_S * 1000,
}


def _postgresql_engine(url: URL) -> Engine:
    try:
        # A pool that checks its connections outlives a restart of the server.
        engine = create_engine(url, pool_pre_ping=True, connect_args=_CONNECT_ARGUMENTS, hide_parameters=True)
    except NoSuchModuleError as error:
        raise DatabaseError(f"the database driver is missing: {error}") from error
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    # The server's end of the same: it would wait for two hours for a host that is cut off in the middle of a
    # transaction, and keep the rows locked that it holds. As statements, which poolers in between let through.
    connection.execute("; ".join(f"SET {name} = {value}" for name, value in _SERVER_SETTINGS.items()))
    connection.commit()


def _sqlite_engine(url: URL) -> Engine:
    folder = Path(str(url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnreachable(f"the database's folder {folder} cannot be made: {error.strerror}") from error
    # Reviews and URLs have no place in a traceback, and so in no log.
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must not open transactions on its own: `_begin_sqlite` does.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    # In WAL mode NORMAL survives any crash of ours; after a power cut the last transactions may be
    # missing, whole, and their chunks are simply done again.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # Indexes are written all over: pages that are kept need not be read again, and those that change often are
    # copied from the log to the file once in 40 MB instead of every 4.
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA wal_autocheckpoint = 10000")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("reviewmill_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
