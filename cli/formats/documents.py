"""Rows as JSON objects, made a column at a time."""

import json
from collections.abc import Callable, Iterator, Sequence
from json.encoder import encode_basestring
from typing import Any

from cli.formats.columns import Column, Kind, in_batches
from cli.formats.values import are_finite, isos, json_sources

Encode = Callable[[Sequence[Any]], Sequence[Any]]

#: JSON has no such numbers; Python's reader and many others know these words.
_SPELLED = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN", "None": "null"}
_FLAGS = {None: "null", False: "false", True: "true"}


def documents(
    columns: Sequence[Column], rows: Iterator[Sequence[Any]], before: str = "", after: str = ""
) -> Iterator[list[str]]:
    """The rows as JSON objects on a line each, a batch at a time, with what is to stand before and after each."""
    # A place for each value in one text: a third of what it takes to encode a row as a dict.
    form = before + _form(columns) + after
    encoders = [_ENCODERS[column.kind] for column in columns]
    for batch in in_batches(rows):
        values = zip(*batch, strict=True)
        encoded = [encode(column) for encode, column in zip(encoders, values, strict=True)]
        yield [form % row for row in zip(*encoded, strict=True)]


def _form(columns: Sequence[Column]) -> str:
    names = (json.dumps(column.name, ensure_ascii=False).replace("%", "%%") for column in columns)
    return "{" + ", ".join(f"{name}: %s" for name in names) + "}"


def _texts(values: Sequence[Any]) -> list[str]:
    return ["null" if value is None else encode_basestring(value) for value in values]


def _names(values: Sequence[Any]) -> list[str]:
    distinct = list(set(values))
    known = dict(zip(distinct, _texts(distinct), strict=True))
    return [known[value] for value in values]


def _numbers(values: Sequence[Any]) -> Sequence[Any]:
    if are_finite(values):
        return values  # which the form spells as JSON does
    return [_SPELLED.get(written, written) for written in map(repr, values)]


def _flags(values: Sequence[Any]) -> list[str]:
    return [_FLAGS[value] for value in values]


def _times(values: Sequence[Any]) -> list[str]:
    return ["null" if value is None else f'"{value}"' for value in isos(values)]


def _json(values: Sequence[Any]) -> list[str]:
    return ["null" if document is None else document for document in json_sources(values)]


_ENCODERS: dict[Kind, Encode] = {
    Kind.TEXT: _texts,
    Kind.NAME: _names,
    Kind.INTEGER: _numbers,
    Kind.NUMBER: _numbers,
    Kind.FLAG: _flags,
    Kind.TIME: _times,
    Kind.JSON: _json,
    Kind.PROBABILITIES: _json,
}
