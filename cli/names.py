"""Names that people give: to models, which become folders, and to schedules."""

from collections.abc import Callable

import click

_ALLOWED = r"letters, digits, '.', '_' and '-'"
_LONGEST = 200

NameCheck = Callable[[click.Context, click.Parameter, str], str]


def names_a(what: str) -> NameCheck:
    """A callback that lets a name pass, or raises BadParameter with what one may be made of."""

    def check(_context: click.Context, _option: click.Parameter, name: str) -> str:
        # Of a model the name becomes a folder and stands before the @ of a reference.
        plain = name.replace(".", "").replace("_", "").replace("-", "")
        if not (plain.isascii() and plain.isalnum()) or name.startswith("."):
            raise click.BadParameter(f"{name!r} cannot name a {what}; use {_ALLOWED}")
        if len(name) > _LONGEST:
            raise click.BadParameter(f"a {what}'s name has at most {_LONGEST} characters, and this has {len(name)}")
        return name

    return check
