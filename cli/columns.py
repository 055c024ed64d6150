"""The options that name columns of a source, and that say how many of its rows may be bad."""

from collections.abc import Callable
from typing import Any

import click

from producer.failure_limit import FailureLimit, read_failure_limit


def _read_limit(_context: click.Context, _option: click.Parameter, written: str | None) -> FailureLimit | None:
    return None if written is None else read_failure_limit(written)


text_option = click.option("--text", metavar="COL", help="Column with the review's text.  [default: the obvious one]")
id_option = click.option("--id", metavar="COL", help="Column with your own id; without it the text makes one.")
pair_option = click.option("--pair", metavar="COL", help="Column with a second text, for models that compare two.")
max_failures_option = click.option(
    "--max-failures",
    callback=_read_limit,
    metavar="N|P%",
    help="Enqueue nothing if more rows than that are bad: a number of them, or a share of all.",
)
_KEEP = click.option(
    "--keep",
    multiple=True,
    metavar="COL",
    help="Column to keep beside the reviews, for `results --where`; several with ',' between them, or --keep again.",
)


def columns_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The columns of reviews that are to be scored."""
    for option in (_KEEP, pair_option, id_option, text_option):
        command = option(command)
    return command
