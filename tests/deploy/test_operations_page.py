"""Commands that docs/operations.md shows exist, with their options, their services and their files."""

import re
import shlex
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml
from sqlalchemy import text, update

from db.claims import claim_chunk
from db.clock import utc_now
from db.database import Database
from db.jobs import NewJob, create_job
from db.tables import Chunk
from tests.command_lines import check_command_line
from tests.deploy.conftest import COMPOSE, ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
_BLOCKS = re.findall(r"^    (\S.*)$", PAGE, re.MULTILINE)
_INLINE = [line for line in re.findall(r"`([^`\n]+)`", PAGE) if re.match(r"(docker compose|reviewmill) \w.* ", line)]
LINES = sorted({re.sub(r" \.\.\.$", " jobs list", line) for line in (*_BLOCKS, *_INLINE)})


def test_the_page_shows_what_is_looked_at_here() -> None:
    assert len(_BLOCKS) >= 16
    for words in (
        "sh deploy",
        "docker compose up",
        "docker compose run",
        "reviewmill db upgrade",
        "reviewmill db backup",
    ):
        assert [line for line in LINES if line.startswith(words)], words


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_one(line: str, compose: dict[str, Any]) -> None:
    words = shlex.split(re.split(r" [<>] ", line)[0])
    if words[0] == "sh":
        assert (ROOT / words[1]).exists()
    elif words[0] == "reviewmill":
        check_command_line(words[1:])
    else:
        assert words[:2] == ["docker", "compose"]
        _check_compose(words[2:], compose)


def _check_compose(words: list[str], compose: dict[str, Any]) -> None:
    """`[--profile NAME] SUBCOMMAND [OPTIONS] [SERVICE...] [what it runs]`."""
    if words[0] == "--profile":
        profiles = {name for one in compose["services"].values() for name in one.get("profiles", [])}
        assert words[1] in profiles
        words = words[2:]
    subcommand, rest = words[0], words[1:]
    options = _options(subcommand)
    while rest and rest[0].startswith("-"):
        takes_value = options[rest[0]]
        if rest[0] == "--scale":
            assert rest[1].partition("=")[0] in compose["services"]
        entrypoint = rest[1] if rest[0] == "--entrypoint" else None
        rest = rest[2 if takes_value else 1 :]
        if entrypoint:
            assert rest[0] in compose["services"]
            return
    if subcommand not in ("run", "exec"):
        assert set(rest) <= set(compose["services"])
        return
    assert rest[0] in compose["services"]
    if rest[0] in ("cli", "owner"):
        check_command_line(rest[1:])


@cache
def _options(subcommand: str) -> dict[str, bool]:
    """Whether each option of a subcommand takes a value, by its own help."""
    help_ = subprocess.run([COMPOSE, subcommand, "--help"], capture_output=True, text=True, check=True).stdout
    found: dict[str, bool] = {}
    for short, long, kind in re.findall(r"^ +(-\w)?,? *(--[\w-]+)(?: (\w+))?  ", help_, re.MULTILINE):
        found |= {name: bool(kind) for name in (short, long) if name}
    assert found, subcommand
    return found


def test_tables_name_every_service_and_profile(compose: dict[str, Any]) -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    profiles = {name for one in compose["services"].values() for name in one.get("profiles", [])}
    services = {name for name, one in compose["services"].items() if not one.get("profiles")} | {"owner"}
    assert rows == services | profiles


def test_settings_of_the_page_are_those_of_the_compose_file() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]+)(?:=\w+)?`", PAGE))
    source = (ROOT / "docker-compose.yml").read_text()
    variables = set(re.findall(r"\$\{(\w+):-", source))
    from tests.deploy.test_compose import known_settings

    assert named <= variables | known_settings() | {"POSTGRES_PASSWORD_FILE"}


@pytest.fixture
def scaled() -> dict[str, Any]:
    authentication, scaled_object = yaml.safe_load_all((ROOT / "deploy" / "keda.yml").read_text())
    (trigger,) = scaled_object["spec"]["triggers"]
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert (authentication["kind"], scaled_object["kind"], trigger["type"]) == (
        "TriggerAuthentication",
        "ScaledObject",
        "postgresql",
    )
    found: dict[str, Any] = trigger["metadata"]
    return found


def test_keda_counts_chunks_that_wait_and_that_are_worked_on(scaled: dict[str, Any], postgresql_url: str) -> None:
    """Not those of trainings, of other states, or whose next attempt is not due."""
    database = Database(postgresql_url)

    def counted() -> int:
        with database.read() as connection:
            return int(connection.execute(text(scaled["query"])).scalar_one())

    assert counted() == 0
    with database.write() as connection:
        _, chunks = create_job(connection, NewJob("score", {}, [[1], [2], [3], [4], [5]]))
        create_job(connection, NewJob("finetune", {}, [[1]]))
    assert counted() == 5
    done, cancelled, later, due, held = chunks
    with database.write() as connection:
        for chunk, values in (
            (done, {"state": "done"}),
            (cancelled, {"state": "cancelled"}),
            (later, {"next_attempt_at": utc_now(60)}),
            (due, {"next_attempt_at": utc_now(-60)}),
        ):
            connection.execute(update(Chunk).where(Chunk.id == chunk).values(**values))
        claim_chunk(connection, held, "somebody", 60)
    assert counted() == 2
    assert float(scaled["targetQueryValue"]) > float(scaled["activationTargetQueryValue"])
