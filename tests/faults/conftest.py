"""A team's set-up to break, and the table of what was broken and what survived."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

from broker.redis_server import RedisServer
from db.database import Database
from db.schema import upgrade
from tests.faults.slow import make_slow_checkpoint
from tests.faults.team import Team
from tests.system import Start, home, leave_nothing, start

__all__ = ["home", "leave_nothing", "start"]

_PROPERTY = "fault"

Survived = Callable[[str, str], None]


@pytest.fixture
def survived(request: pytest.FixtureRequest) -> Survived:
    """`survived(what was done, what was left)`: a row of the table that ends `make faults`."""

    def note(done: str, left: str) -> None:
        request.node.user_properties.append((_PROPERTY, [request.node.name, done, left]))

    return note


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print what every fault test did and what survived it."""
    rows = [
        row
        for report in terminalreporter.stats.get("passed", [])
        for name, row in getattr(report, "user_properties", [])
        if name == _PROPERTY and report.when == "call"
    ]
    if rows:
        terminalreporter.section("faults: what was done, and what survived")
        for test, done, left in sorted(rows):
            terminalreporter.write_line(f"{done}\n    survived: {left}\n    shown by: {test}")


@pytest.fixture(scope="session")
def slow_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slow_checkpoint(tmp_path_factory.mktemp("slow") / "bert")


@pytest.fixture
def team(
    server: RedisServer,
    database_url: str,
    start: Start,
    slow_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Team]:
    """A team on each kind of database in turn: quick sweeps, short leases, batches of one long review."""
    for name, value in {
        "REDIS_URL": f"redis+socket://{server.socket}",
        "DATABASE_URL": database_url,
        "CHUNK_SIZE": "500",
        "TOKEN_BUDGET": "64",
        "LEASE_S": "4",
        "SWEEP_S": "0.5",
        # No search for a faster one comes between a fault and the work that it is to hit.
        "PRECISION": "float32",
    }.items():
        monkeypatch.setenv(f"REVIEWMILL_{name}", value)
    database = Database(database_url)
    upgrade(database)
    yield Team(database, server, start, tmp_path, Path(os.environ["REVIEWMILL_HOME"]), slow_checkpoint)
    database.close()


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A few hundred labelled reviews, easy to learn."""
    path = tmp_path / "labelled.jsonl"
    words = {"good": "a wonderful film number", "bad": "a terrible film number"}
    rows = [{"text": f"{words[label]} {number}", "label": label} for number in range(200) for label in words]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
