"""Opening the sources that a command names, and saying what was guessed about them."""

from collections.abc import Callable
from typing import Any

import click

from cli.output import notes
from producer.sources import Source, open_source

_OPTIONS = [
    click.option("--encoding", metavar="NAME", help="Encoding of the texts, as in cp1252.  [default: found out]"),
    click.option(
        "--delimiter", metavar="CHAR", help="What stands between fields in csv, or tab.  [default: found out]"
    ),
]


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how texts are read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def open_reviews(*specs: str, encoding: str | None, delimiter: str | None) -> Source:
    """The source that the specs name; what was guessed stands on standard error. Raises SourceError."""
    source = open_source(*specs, encoding=encoding, delimiter=delimiter)
    for notice in source.notices:
        notes.print(notice, markup=False, soft_wrap=True)
    return source
