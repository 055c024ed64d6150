"""table: for eyes, as wide as the terminal, and in colour only there."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TextIO

from cli.formats.columns import Column, Kind
from cli.formats.values import isos, json_sources
from cli.output import local_time, one_line, print_table

_STYLES = {Kind.NAME: "cyan", Kind.TIME: "dim"}
_NUMBERS = {Kind.INTEGER, Kind.NUMBER}


def write(columns: Sequence[Column], rows: Iterator[Sequence[Any]], file: TextIO) -> int:
    """Write the rows, which are held in memory, and nothing where there are none; returns how many."""
    words = [_WORDS.get(column.kind, str) for column in columns]
    cells = [tuple("" if value is None else say(value) for say, value in zip(words, row, strict=True)) for row in rows]
    if cells:
        numbers = [column.name for column in columns if column.kind in _NUMBERS]
        styles = {column.name: _STYLES[column.kind] for column in columns if column.kind in _STYLES}
        print_table([column.name for column in columns], cells, numbers=numbers, file=file, styles=styles)
    return len(cells)


def _time(value: Any) -> str:
    (written,) = isos([value])
    return local_time(datetime.fromisoformat(str(written)))


def _json(value: Any) -> str:
    (written,) = json_sources([value])
    return one_line(str(written))


_WORDS: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: one_line,
    Kind.NUMBER: "{:.4f}".format,
    Kind.TIME: _time,
    Kind.JSON: _json,
    Kind.PROBABILITIES: _json,
}
