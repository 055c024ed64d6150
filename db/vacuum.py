"""Giving room that deletions left back to the disk, and telling how much.

SQLite keeps the pages of deleted rows for new ones. Only a rewrite of the whole file (`full`) gives them back, and
writers wait for it; a file that was rewritten once gives its free pages back in small steps from then on. No statistics
are made there (ANALYZE): SQLite's know how often a value occurs on average, and not that `pending` is rare, so that the
look for the next chunk would read every chunk there is. PostgreSQL has its own VACUUM, beside which all work goes on.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from db.database import SQLITE_BUSY_TIMEOUT_MS, Database
from db.errors import DatabaseUnreachable, NotPermitted
from db.tables import Base, Chunk

#: Free pages given back in one step: 4 MB, in some hundredths of a second.
_PAGES_A_STEP = 1_000
_INCREMENTAL = 2
#: Whoever owns the tables, or the database, may vacuum them.
_OWNERS_THAT_I_AM = """
    SELECT owner FROM (
        SELECT relowner AS owner FROM pg_class WHERE oid = 'jobs'::regclass
        UNION SELECT datdba FROM pg_database WHERE datname = current_database()
    ) AS owners
    WHERE pg_has_role(owner, 'USAGE')
"""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of a database: on the disk, and of those free for new rows, where that is known.

    `at_work` counts the chunks that are worked on now. `gives_back` tells whether free room can be given back without
    a rewrite.
    """

    bytes: int
    free: int | None
    gives_back: bool
    at_work: int


def room_of(database: Database) -> Room:
    """How much room the database takes."""
    with database.read() as connection:
        at_work = connection.scalar(select(func.count()).where(Chunk.state == "leased")) or 0
        if not database.is_sqlite:
            sizes = [func.pg_total_relation_size(name) for name in Base.metadata.tables]
            return Room(sum(connection.execute(select(*sizes)).one()), None, True, at_work)

        def pragma(name: str) -> int:
            return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())

        page, gives_back = pragma("page_size"), pragma("auto_vacuum") == _INCREMENTAL
        free = page * pragma("freelist_count")
        return Room(page * pragma("page_count") + _log_bytes(database), free, gives_back, at_work)


def vacuum(database: Database, *, full: bool = False, progress: Callable[[int], None] = lambda _rows: None) -> Room:
    """Give back what can be, and return how much room is taken now. Raises DatabaseUnreachable and NotPermitted.

    `full` rewrites the whole database, for which SQLite needs as much room once more, and PostgreSQL that of its
    largest table; writers wait for it, on PostgreSQL readers too.
    """
    with _outside_transactions(database) as run:
        if not database.is_sqlite:
            _check_owner(database, run)
            options = "FULL, ANALYZE" if full else "ANALYZE"
            for name in Base.metadata.tables:
                run(f"VACUUM ({options}) {name}")
        elif full:
            # How the file is laid out can only be changed by a rewrite.
            run(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
            run("VACUUM")
        else:
            _give_back_in_steps(run, progress)
    empty_log(database)
    return room_of(database)


def empty_log(database: Database) -> bool:
    """Move what stands in SQLite's log to its file and empty it; return False where a reader was in the way.

    Until then the log may hold pages as they were before a deletion.
    """
    if not database.is_sqlite:
        return True
    with _outside_transactions(database) as run:
        run("PRAGMA busy_timeout = 2000")
        is_busy = bool(run("PRAGMA wal_checkpoint(TRUNCATE)")[0][0])
        run(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")
    return not is_busy


def _check_owner(database: Database, run: Callable[[str], list[Any]]) -> None:
    """PostgreSQL only warns whoever may not, passes all tables over, and calls it done."""
    if not run(_OWNERS_THAT_I_AM):
        raise NotPermitted(
            f"the database {database.place} does not let this user do that: permission denied to vacuum, which is the "
            "owner's"
        )


def _give_back_in_steps(run: Callable[[str], list[Any]], progress: Callable[[int], None]) -> None:
    if run("PRAGMA auto_vacuum")[0][0] != _INCREMENTAL:
        return
    free = run("PRAGMA freelist_count")[0][0]
    while free:
        began = time.monotonic()
        run(f"PRAGMA incremental_vacuum({_PAGES_A_STEP})")
        left = run("PRAGMA freelist_count")[0][0]
        progress(free - left)
        if left >= free:
            return
        free = left
        time.sleep(time.monotonic() - began)


def _log_bytes(database: Database) -> int:
    try:
        return os.stat(f"{database.url.database}-wal").st_size
    except OSError:
        return 0


@contextmanager
def _outside_transactions(database: Database) -> Iterator[Callable[[str], list[Any]]]:
    """Gives a function that runs a statement which no transaction may hold, and returns its rows."""
    # Past SQLAlchemy, which begins a transaction with the first statement.
    raw = database.engine.raw_connection()
    driver: Any = raw.driver_connection

    def run(statement: str) -> list[Any]:
        found = driver.execute(statement)
        return list(found.fetchall()) if found.description else []

    try:
        if not database.is_sqlite:
            driver.autocommit = True
        yield run
    except database.engine.dialect.loaded_dbapi.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise DatabaseUnreachable(f"the database {database.place} cannot be used: {reason}") from error
    finally:
        if not database.is_sqlite and not driver.closed:
            driver.autocommit = False
        raw.close()
