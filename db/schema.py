"""Which revision the tables are at, and how they come to the newest."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import inspect, text

from db.database import Database
from db.errors import SchemaMismatch
from db.settings import DatabaseSettings

#: The newest migration. A test holds it against the migrations folder; knowing it here spares
#: every command the reading of that folder.
#: Its first digit is a series: within one, migrations only add what older code need not know, so that workers of two
#: versions work side by side. One that takes away, or changes what is there, begins the next with N000.
HEAD_REVISION = "0015"

#: Alembic keeps what it works on in module globals, so two threads must take turns.
_alembic = threading.Lock()


def open_database(settings: DatabaseSettings | None = None) -> Database:
    """Open the database of the settings, ready for use.

    A SQLite file is made and migrated by itself. A server's tables are never changed unasked:
    raises SchemaMismatch where they are not at the newest revision this version knows, or a later
    one of its series, and DatabaseUnreachable where nothing answers.
    """
    database = Database((settings or DatabaseSettings()).url)
    revision = current_revision(database)
    if works_with(revision):
        return database
    if database.is_sqlite:
        upgrade(database)
        return database
    if revision is not None and revision > HEAD_REVISION:
        raise _too_new(database, revision)
    raise SchemaMismatch(
        f"the tables of {database.place} are at revision {revision or 'none'}, this version needs "
        f"{HEAD_REVISION}; run: reviewmill db upgrade"
    )


def works_with(revision: str | None) -> bool:
    """Whether this version works with tables at that revision: the newest it knows, or a later one of its series."""
    return revision is not None and revision >= HEAD_REVISION and _series(revision) == _series(HEAD_REVISION)


def current_revision(database: Database) -> str | None:
    """The revision the tables are at, or None for a database without our tables."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def upgrade(database: Database) -> None:
    """Bring the tables to the newest revision. Safe when several processes do it at once.

    Tables at a later one of this version's series stay as they are. Raises SchemaMismatch for those of a later series.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    revision = current_revision(database)
    if works_with(revision):
        return
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with _alembic, _alone(database), database.write() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise _too_new(database, revision) from error


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    # PostgreSQL takes an advisory lock inside the migration's own transaction (see migrations/env.py).
    if not database.is_sqlite:
        yield
        return
    with open(f"{database.url.database}.migrate", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _series(revision: str) -> str:
    return revision[:-3]


def _too_new(database: Database, revision: str | None) -> SchemaMismatch:
    return SchemaMismatch(
        f"the tables of {database.place} are at revision {revision}, of a newer version of Reviewmill; this one works "
        f"with {HEAD_REVISION} to {_series(HEAD_REVISION)}999: install the newer version"
    )
