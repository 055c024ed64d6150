"""The README tells of every command, option of the contract and setting there is, and of none that is not.

Promises name tests that exist, and every fault that is proven is named.
"""

import re
from importlib import import_module
from pathlib import Path

from broker.settings import BrokerSettings
from cli.main import COMMANDS
from db.settings import DatabaseSettings
from db.tables import Base
from producer.settings import ProducerSettings
from worker.settings import WorkerSettings

TESTS = Path(__file__).parent
README = (TESTS.parent / "README.md").read_text()
RELIABILITY, MODELS = ((TESTS.parent / "docs" / name).read_text() for name in ("reliability.md", "models.md"))
SETTINGS = (BrokerSettings, DatabaseSettings, ProducerSettings, WorkerSettings)


def test_every_setting_is_documented_with_its_default() -> None:
    fields = {name: field for room in SETTINGS for name, field in room.model_fields.items()}
    documented = dict(re.findall(r"^\| `REVIEWMILL_(\w+)` \|.*\| (.+) \|$", README, re.MULTILINE))
    assert {name.lower() for name in documented} == set(fields)
    for name, default in documented.items():
        value = fields[name.lower()].default
        if isinstance(value, int | float):
            assert float(default) == value, name


def test_every_command_is_documented() -> None:
    assert set(re.findall(r"`reviewmill (\w+)", README)) >= set(COMMANDS) - {"demo"}
    assert set(re.findall(r"reviewmill (\w+)", README)) <= set(COMMANDS)


def test_commands_of_the_models_page_exist_with_their_options() -> None:
    shown = re.findall(r"^    reviewmill (.+)$|`reviewmill ([^`]+)`", MODELS, re.MULTILINE)
    commands = set()
    for words in ((block or inline).split() for block, inline in shown):
        group, options = import_module(COMMANDS[words[0]][0]).command, {word for word in words if word[:2] == "--"}
        command = group.commands[words[1]]
        assert options <= {option for parameter in command.params for option in parameter.opts}, words
        commands.add(words[1])
    assert commands == {"show", "export", "promote", "diff"}


def test_every_table_is_documented() -> None:
    section = README.partition("## The tables")[2]
    named = {
        name for row in re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert named == set(Base.metadata.tables)


def test_every_promise_names_tests_that_exist_and_every_fault_test_is_named() -> None:
    named = set(re.findall(r"`(test_\w+)`", RELIABILITY))
    assert named <= _tests_in(TESTS)
    assert named >= _tests_in(TESTS / "faults")
    promises = RELIABILITY.partition("## What is promised")[2].partition("## What is not")[0]
    for paragraph in promises.strip().split("\n\n"):
        assert "`test_" in paragraph, paragraph


def _tests_in(folder: Path) -> set[str]:
    return {
        name for path in folder.rglob("test_*.py") for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.M)
    }
