"""The options that say how texts are read; what they leave out is guessed."""

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = [
    click.option("--encoding", metavar="NAME", help="Encoding of the texts, as in cp1252.  [default: found out]"),
    click.option(
        "--delimiter", metavar="CHAR", help="What stands between fields in csv, or tab.  [default: found out]"
    ),
]


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How the texts of csv and jsonl files are read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
