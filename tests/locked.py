"""A PostgreSQL database with the shipped users and their rights, on a real server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from db import database as database_module
from db.database import Database
from db.schema import upgrade

GRANTS = Path(database_module.__file__).parent / "grants"


@dataclass(frozen=True)
class LockedDatabase:
    """Where it is, for whom."""

    admin_url: str

    def url(self, user: str) -> str:
        """The URL of `owner`, `producer`, `worker` or `reader`. The tests' server asks nobody for a password."""
        whole = make_url(self.admin_url).set(username=f"reviewmill_{user}", password=None)
        return whole.render_as_string(hide_password=False)

    @contextmanager
    def connect(self, user: str) -> Iterator[Connection]:
        """A connection of that user, past everything of ours."""
        engine = create_engine(self.url(user))
        with engine.connect() as connection:
            yield connection
        engine.dispose()

    def run(self, script: str, user: str | None = None) -> None:
        """Run one of the shipped scripts, as `psql -f` would."""
        url = make_url(self.url(user) if user else self.admin_url).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute((GRANTS / script).read_text())


@pytest.fixture(scope="module")
def locked_database(postgresql_server: str) -> LockedDatabase:
    """A database set up as the scripts say: users, then tables, then rights. One for all tests of a file."""
    name = f"locked_{uuid4().hex}"
    admin = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    locked = LockedDatabase(make_url(postgresql_server).set(database=name).render_as_string(hide_password=False))
    locked.run("roles.sql")
    database = Database(locked.url("owner"))
    upgrade(database)
    database.close()
    locked.run("tables.sql", "owner")
    return locked
