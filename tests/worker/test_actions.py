"""Each event that is logged has an action, and no two events share one."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("cli", "producer", "broker", "worker", "db")
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def logged() -> Iterator[tuple[str, ast.Call]]:
    """Every call that logs, and where it stands."""
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level)) if level in LEVELS:
                        yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def action_of(call: ast.Call) -> str:
    (action,) = [word.value.value for word in call.keywords if word.arg == "action"]  # type: ignore[attr-defined]
    assert isinstance(action, str)
    return action


def test_every_line_has_one_action() -> None:
    found = dict(logged())
    assert len(found) > 50
    for place, call in found.items():
        assert [word.arg for word in call.keywords].count("action") == 1, place
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", action_of(call)), place


def test_an_action_is_one_event_and_an_event_one_action() -> None:
    events, actions = defaultdict(set), defaultdict(set)
    for _, call in logged():
        match call.args:
            case [ast.Constant(value=str(event))]:
                events[action_of(call)].add(event)
                actions[event].add(action_of(call))
    assert {action: found for action, found in events.items() if len(found) > 1} == {}
    assert {event: found for event, found in actions.items() if len(found) > 1} == {}


def test_nothing_logs_but_by_structlog() -> None:
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text()
            assert not re.search(r"logging\.(getLogger\(__name__\)|info|warning|error)\b", text), path
            assert ("log = structlog.get_logger()" in text) == bool(re.search(r"^\s+log\.\w+\(", text, re.M)), path
