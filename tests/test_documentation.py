"""The README tells of every command and option of the contract there is, and of none that is not.

Promises name tests that exist, and every fault that is proven is named.
"""

import inspect
import re
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from cli.main import COMMANDS
from db.tables import Base
from producer import Client, Job, Result, Unscored
from worker.signature import signature

TESTS = Path(__file__).parent
README = (TESTS.parent / "README.md").read_text()
_PAGES = ("reliability.md", "models.md", "notifications.md", "python.md")
RELIABILITY, MODELS, NOTIFICATIONS, PYTHON = ((TESTS.parent / "docs" / name).read_text() for name in _PAGES)


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
    assert commands == {"show", "export", "promote", "diff", "add"}


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


def test_receivers_can_check_signatures_as_the_page_shows() -> None:
    (code,) = _blocks(NOTIFICATIONS)
    page: dict[str, Any] = {}
    exec(code, page)
    is_ours, body, now = page["is_ours"], '{"event": "job.done", "name": "müde"}'.encode(), int(time.time())
    header = signature("a secret", body, now)
    assert is_ours("a secret", header, body)
    assert not is_ours("another", header, body)
    assert not is_ours("a secret", header, body + b" ")
    assert not is_ours("a secret", header.replace(f"t={now}", f"t={now + 1}"), body)
    assert not is_ours("a secret", signature("a secret", body, now - 600), body)


def test_the_python_page_names_methods_and_arguments_that_there_are() -> None:
    for kind, name in ((Client, "client"), (Job, "job")):
        called = re.findall(rf"`{name}\.(\w+)\((.*?)\)`", PYTHON)
        methods = {method for method in vars(kind) if method[0] != "_"} - {"close"}
        assert {method for method, _ in called} | set(re.findall(rf"`{name}\.(\w+)\(", PYTHON)) == methods
        for method, arguments in called:
            known = set(inspect.signature(getattr(kind, method)).parameters)
            assert {one.split("=")[0].strip() for one in arguments.split(",") if one.strip()} <= known, method
    shown = set(re.findall(r"`(\w+)`", PYTHON.partition("A `Result` has")[2].partition("\n\n")[0]))
    assert shown - {"Result", "Unscored"} <= {*Result.__slots__, *Unscored.__slots__}


def test_client_arguments_are_the_options_of_the_commands() -> None:
    called = {"sources": "source", "labels": "label"}
    for method, module in (("score", "cli.score"), ("finetune", "cli.finetune")):
        options = {parameter.name for parameter in import_module(module).command.params}
        arguments = set(inspect.signature(getattr(Client, method)).parameters) - {"self"}
        assert arguments == {called.get(name, name) for name in options} - {"no_wait", "on_done", "as_json"}, method


def test_python_blocks_of_the_pages_are_python() -> None:
    for page in (README, PYTHON, NOTIFICATIONS):
        assert _blocks(page)
        for code in _blocks(page):
            compile(code, "page", "exec")


def _blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def _tests_in(folder: Path) -> set[str]:
    return {
        name for path in folder.rglob("test_*.py") for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.M)
    }
