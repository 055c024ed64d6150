"""Every settings class of the rooms, and what code reads of them, found in the source."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings

ROOT = Path(__file__).parent.parent
#: A room, and those that may import its settings.
READERS = {
    "cli": ("cli",),
    "producer": ("producer", "cli"),
    "worker": ("worker", "cli"),
    "broker": ("broker", "producer", "worker", "cli"),
    "db": ("db", "producer", "worker", "cli"),
}


def _settings_classes() -> list[type[BaseSettings]]:
    found = []
    for path in sorted(path for room in READERS for path in (ROOT / room).rglob("*.py")):
        if re.search(r"^class \w+\(.*Settings\):$", path.read_text(), re.MULTILINE):
            module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            found += [one for one in vars(module).values() if _is_settings_of(one, module.__name__)]
    return found


def _is_settings_of(one: object, module: str) -> bool:
    return isinstance(one, type) and issubclass(one, BaseSettings) and one.__module__ == module


SETTINGS = _settings_classes()


def own_fields(kind: type[BaseSettings]) -> set[str]:
    """The fields that a class defines itself: those that it inherits are read as their own class's."""
    return set(kind.model_fields) & set(vars(kind).get("__annotations__", {}))


def is_read(kind: type[BaseSettings], field: str) -> bool:
    """Whether code of the class's room, or of one that may import it, reads the field of something that is settings."""
    return any(field in _fields_read(room) for room in READERS[kind.__module__.partition(".")[0]])


def environment_variables() -> set[str]:
    """Names of the variables that the rooms' code takes from, or puts into, the environment by name."""
    return {name for room in READERS for tree in _trees(room) for name in _variables(tree)}


@cache
def _trees(room: str) -> tuple[ast.Module, ...]:
    return tuple(ast.parse(path.read_text()) for path in sorted((ROOT / room).rglob("*.py")))


@cache
def _fields_read(room: str) -> frozenset[str]:
    return frozenset(name for tree in _trees(room) for name in _attributes_of_settings(tree))


def _attributes_of_settings(tree: ast.Module) -> Iterator[str]:
    names = _names_of_settings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and _is_settings(node.value, names):
            yield node.attr
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            own = (one for one in ast.walk(node) if isinstance(one, ast.Attribute))
            yield from (one.attr for one in own if isinstance(one.value, ast.Name) and one.value.id == "self")


def _is_settings(node: ast.expr, names: set[str]) -> bool:
    """Whether an expression is settings, by its name or by what is assigned to it in the same file."""
    if isinstance(node, ast.Attribute):
        return node.attr.endswith("settings")
    if isinstance(node, ast.Name):
        return node.id.endswith("settings") or node.id in names
    return _makes_settings(node)


def _makes_settings(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Settings")


def _names_of_settings(tree: ast.Module) -> set[str]:
    made = {name for name, value in _assigned(tree) if _makes_settings(value)}
    arguments = (node for node in ast.walk(tree) if isinstance(node, ast.arg) and node.annotation is not None)
    return made | {node.arg for node in arguments if ast.unparse(node.annotation).endswith("Settings")}


def _assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names, and what is assigned to each, also where several are assigned at once."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
            both = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts, strict=True) if both else [(target, value)]
            yield from ((name.id, made) for name, made in pairs if isinstance(name, ast.Name))


def _variables(tree: ast.Module) -> Iterator[str]:
    constants = {name: [value.value] for name, value in _assigned(tree) if isinstance(value, ast.Constant)}
    named = {**constants, **dict(_names_in_turn(tree))}
    for key in _environment_keys(tree):
        names = named.get(key.id, []) if isinstance(key, ast.Name) else [getattr(key, "value", None)]
        yield from (name for name in names if isinstance(name, str) and not name.startswith("REVIEWMILL_"))


def _names_in_turn(tree: ast.Module) -> Iterator[tuple[str, list[Any]]]:
    """What a comprehension calls each key of a table of constants, and those keys."""
    tables = {name: value for name, value in _assigned(tree) if isinstance(value, ast.Dict)}
    for node in ast.walk(tree):
        if isinstance(node, ast.comprehension):
            table = tables.get(ast.unparse(node.iter).removesuffix(".items()"))
            target = node.target.elts[0] if isinstance(node.target, ast.Tuple) else node.target
            if table is not None and isinstance(target, ast.Name):
                yield target.id, [key.value for key in table.keys if isinstance(key, ast.Constant)]


def _environment_keys(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _is_environment(node.value):
            yield node.slice
        elif isinstance(node, ast.Call) and node.args and _asks_environment(node.func):
            yield node.args[0]


def _asks_environment(function: ast.expr) -> bool:
    is_method = isinstance(function, ast.Attribute) and _is_environment(function.value)
    return is_method or ast.unparse(function) in ("os.getenv", "getenv")


def _is_environment(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")
