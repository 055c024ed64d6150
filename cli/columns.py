"""The columns of a source that options name, and what is guessed where they name none."""

from collections.abc import Callable, Collection, Sequence

import click

from cli.output import notes
from producer.failure_limit import FailureLimit, read_failure_limit
from producer.guess import guess_label, guess_text, likely_id
from producer.rows import Columns
from producer.sources import Source


def _read_limit(_context: click.Context, _option: click.Parameter, written: str | None) -> FailureLimit | None:
    return None if written is None else read_failure_limit(written)


text_option = click.option("--text", metavar="COL", help="Column with the review's text.  [default: the obvious one]")
max_failures_option = click.option(
    "--max-failures",
    callback=_read_limit,
    metavar="N|P%",
    help="Enqueue nothing if more rows than that are bad: a number of them, or a share of all.",
)
keep_option = click.option(
    "--keep",
    multiple=True,
    metavar="COL",
    help="Column to keep beside the reviews, for `results --where`; several with ',' between them, or --keep again.",
)


def find_text(source: Source, named: str | None, others: Collection[str | None]) -> str:
    """The column of the text: the one named, or an obvious one, which is said. Raises GuessError."""
    return named or _said(guess_text, source, "--text", others)


def find_label(source: Source, others: Collection[str | None]) -> str:
    """An obvious column of labels, which is said. Raises GuessError."""
    return _said(guess_label, source, "--label", others)


def mention_id(source: Source, columns: Columns) -> None:
    """Say where no id was named and a column looks like one.

    It is not taken unasked: were it not the reviews' own, different reviews would become revisions of one another.
    """
    found = None if columns.id else likely_id(source, columns.names)
    if found is not None:
        _say(f"Ids are made from the texts; for those of the column {found!r}: --id {found}")


def split_keep(source: Source, given: Sequence[str]) -> tuple[str, ...]:
    """The columns to keep, each once. One whose name holds a comma is taken whole."""
    known = source.columns() or ()
    names = [name for one in given for name in ([one] if one in known else map(str.strip, one.split(",")))]
    return tuple(dict.fromkeys(names))


def _said(
    guess: Callable[[Source, Collection[str]], str], source: Source, option: str, others: Collection[str | None]
) -> str:
    column = guess(source, _taken(others))
    _say(f"The {option.removeprefix('--')} is taken from the column {column!r}; for another: {option} COL")
    return column


def _taken(columns: Collection[str | None]) -> list[str]:
    return [name for name in columns if name is not None]


def _say(words: str) -> None:
    notes.print(words, markup=False, soft_wrap=True)
