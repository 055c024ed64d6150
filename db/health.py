"""What a database says of itself: for a look at whether it is fit to keep the truth. Changes nothing.

A SQLite file is opened as every process of ours opens it, which sets it to write-ahead logging where that is possible.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.clock import database_time
from db.database import Database
from db.tables import Base

#: Rights that tables are asked for.
READ, WRITES = "SELECT", ("INSERT", "UPDATE", "DELETE")

_ABOUT_SERVER = text(
    "SELECT current_setting('server_version'), current_setting('server_version_num')::int, "
    "current_setting('server_encoding'), current_setting('transaction_read_only') = 'on', current_user"
)
#: A user of least rights has some on some columns only; what is deleted is a row.
_WITHOUT = {
    right: text(f"SELECT named FROM unnest(CAST(:tables AS text[])) AS named WHERE NOT {has}(named, '{right}')")  # noqa: S608
    for right, has in {
        **dict.fromkeys(("SELECT", "INSERT", "UPDATE"), "has_any_column_privilege"),
        "DELETE": "has_table_privilege",
    }.items()
}


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server as our user meets it; `number` is 180004 for 18.4."""

    version: str
    number: int
    encoding: str
    is_read_only: bool
    user: str


@dataclass(frozen=True, slots=True)
class ClockDifference:
    """By how many seconds the database's clock is ahead of this machine's, to within `error_s`."""

    ahead_s: float
    error_s: float


def journal_mode(connection: Connection) -> str:
    """How a SQLite file keeps what is not yet written to it: wal, where that is possible."""
    return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())


def damage(connection: Connection) -> str | None:
    """The first thing that is wrong with a SQLite file's pages; None where all are well. Reads the whole file."""
    said = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar())
    return None if said == "ok" else said.strip().splitlines()[-1]


def about_server(connection: Connection) -> Server:
    """Ask a PostgreSQL server."""
    return Server(*connection.execute(_ABOUT_SERVER).one())


def lacking_rights(connection: Connection) -> dict[str, list[str]]:
    """What a PostgreSQL server does not let our user do: for each such right, the tables, by name."""
    tables = sorted(Base.metadata.tables)
    rights = (READ, *WRITES)
    lacking = {right: _without(connection, tables, right) for right in rights}
    return {right: found for right, found in lacking.items() if found}


def clock_difference(database: Database) -> ClockDifference:
    """Compare the clocks of the database and of this machine."""
    with database.read() as connection:
        database_time(connection)  # the connection is made; what follows is one question and its answer
        asked = time.time()
        theirs = database_time(connection).timestamp()
        answered = time.time()
    return ClockDifference(theirs - (asked + answered) / 2, (answered - asked) / 2)


def _without(connection: Connection, tables: Sequence[str], right: str) -> list[str]:
    return list(connection.scalars(_WITHOUT[right], {"tables": list(tables)}))
