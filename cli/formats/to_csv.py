"""csv as of RFC 4180: commas and quotes, a line of names first, and no cell that a spreadsheet would run."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from cli.formats.columns import Column, Kind, in_batches
from cli.formats.formulas import guarded, guarded_json
from cli.formats.values import isos, json_sources

Cells = Callable[[Sequence[Any]], Sequence[Any]]


def write(columns: Sequence[Column], rows: Iterator[Sequence[Any]], file: TextIO, raw: bool = False) -> int:
    """Write the rows; returns how many. `raw` leaves cells that start like formulas as they are."""
    cells = _RAW_CELLS if raw else _CELLS
    makers = [cells[column.kind] for column in columns]
    # A place for each cell in one text; the standard library's writer looks at every character, in twice the time.
    form = ",".join(["%s"] * len(columns)) + "\r\n"
    names = [column.name for column in columns]
    file.write(form % tuple(_quoted(names if raw else [guarded(name) for name in names])))
    count = 0
    for batch in in_batches(rows):
        values = zip(*batch, strict=True)
        made = [make(column) for make, column in zip(makers, values, strict=True)]
        file.writelines([form % row for row in zip(*made, strict=True)])
        count += len(batch)
    return count


def _quoted(cells: Sequence[str | None]) -> list[str]:
    """The cells in quotes, where they hold what divides cells or rows."""
    return [
        f'"{cell.replace(_QUOTE, _TWO_QUOTES)}"'
        if cell and (_QUOTE in cell or "," in cell or "\n" in cell or "\r" in cell)
        else cell or ""
        for cell in cells
    ]


def _plain(values: Sequence[Any]) -> Sequence[Any]:
    return ["" if value is None else value for value in values]


def _names(values: Sequence[Any]) -> list[str]:
    distinct = list(set(values))
    known = dict(zip(distinct, _texts(distinct), strict=True))
    return [known[value] for value in values]


def _texts(values: Sequence[Any]) -> list[str]:
    return _quoted([value and guarded(value) for value in values])


def _json(values: Sequence[Any]) -> list[str]:
    return _quoted([document and guarded_json(document) for document in json_sources(values)])


def _times(values: Sequence[Any]) -> list[str]:
    return _quoted(isos(values))


_QUOTE, _TWO_QUOTES = '"', '""'
#: Of numbers, flags and times none starts a formula.
_RAW_CELLS: dict[Kind, Cells] = {
    Kind.TEXT: _quoted,
    Kind.NAME: _quoted,
    Kind.INTEGER: _plain,
    Kind.NUMBER: _plain,
    Kind.FLAG: _plain,
    Kind.TIME: _times,
    Kind.JSON: lambda values: _quoted(json_sources(values)),
    Kind.PROBABILITIES: lambda values: _quoted(json_sources(values)),
}
_CELLS = {
    **_RAW_CELLS,
    Kind.TEXT: _texts,
    Kind.NAME: _names,
    Kind.JSON: _json,
    Kind.PROBABILITIES: _json,
}
