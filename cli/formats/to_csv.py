"""csv: comma and quotes as in RFC 4180, a line of names first, and no cell that a spreadsheet would run."""

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from cli.formats.columns import Column, Kind, in_batches
from cli.formats.formulas import guarded, guarded_json
from cli.formats.values import iso, json_source

Cells = Callable[[Sequence[Any]], Sequence[Any]]


def write(columns: Sequence[Column], rows: Iterator[Sequence[Any]], file: TextIO, raw: bool = False) -> int:
    """Write the rows; returns how many. `raw` leaves cells that start like formulas as they are."""
    writer = csv.writer(file)
    cells = _RAW_CELLS if raw else _CELLS
    makers = [cells.get(column.kind, _as_they_are) for column in columns]
    names = [column.name for column in columns]
    writer.writerow(names if raw else map(guarded, names))
    count = 0
    for batch in in_batches(rows):
        values = zip(*batch, strict=True)
        made = [make(column) for make, column in zip(makers, values, strict=True)]
        writer.writerows(zip(*made, strict=True))
        count += len(batch)
    return count


def _as_they_are(values: Sequence[Any]) -> Sequence[Any]:
    return values


def _times(values: Sequence[Any]) -> list[Any]:
    return [iso(value) for value in values]


def _json(values: Sequence[Any]) -> list[Any]:
    return [json_source(value) for value in values]


def _guarded_texts(values: Sequence[Any]) -> list[Any]:
    return [None if value is None else guarded(value) for value in values]


def _guarded_names(values: Sequence[Any]) -> list[Any]:
    known = {value: None if value is None else guarded(value) for value in set(values)}
    return [known[value] for value in values]


def _guarded_json(values: Sequence[Any]) -> list[Any]:
    return [None if value is None else guarded_json(json_source(value)) for value in values]


#: Numbers and flags are the writer's: none of them starts a formula.
_RAW_CELLS: dict[Kind, Cells] = {Kind.TIME: _times, Kind.JSON: _json, Kind.PROBABILITIES: _json}
_CELLS: dict[Kind, Cells] = {
    **_RAW_CELLS,
    Kind.TEXT: _guarded_texts,
    Kind.NAME: _guarded_names,
    Kind.JSON: _guarded_json,
    Kind.PROBABILITIES: _guarded_json,
}
