"""What a column holds, so that every format writes it as what it is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import chain, islice
from typing import Any

#: Rows that are written at once: few enough to stay in the processor's cache.
BATCH = 1_000


class Kind(Enum):
    """What the values of a column are; any may be None."""

    TEXT = "words, each row its own"
    NAME = "one of few words: a label, a model"
    INTEGER = "a whole number"
    NUMBER = "a number"
    FLAG = "true or false"
    TIME = "an aware datetime, or its ISO form"
    JSON = "a list or an object, or the text of a JSON document"
    PROBABILITIES = "an object of numbers, or its JSON text"


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and kind. `labels` are the names in each object of probabilities, where all have the same."""

    name: str
    kind: Kind
    labels: tuple[str, ...] | None = None


def known_columns(
    columns: Sequence[Column | str], rows: Iterable[Sequence[Any]]
) -> tuple[list[Column], Iterator[Sequence[Any]]]:
    """The columns, each with its kind, and the rows: of a column that is only named, the first rows tell the kind."""
    rows = iter(rows)
    if all(isinstance(one, Column) for one in columns):
        return [one for one in columns if isinstance(one, Column)], rows
    first = list(islice(rows, BATCH))
    values = list(zip(*first, strict=True)) or [()] * len(columns)
    known = [
        one if isinstance(one, Column) else Column(one, _kind_of(column))
        for one, column in zip(columns, values, strict=True)
    ]
    return known, chain(first, rows)


def in_batches(rows: Iterator[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """The rows, so many at a time."""
    return iter(lambda: list(islice(rows, BATCH)), [])


def _kind_of(values: Iterable[Any]) -> Kind:
    types = {type(value) for value in values if value is not None}
    for kind, fitting in _FITTING:
        if types and types <= fitting:
            return kind
    return Kind.TEXT


_FITTING: tuple[tuple[Kind, set[type]], ...] = (
    (Kind.FLAG, {bool}),
    (Kind.INTEGER, {int}),
    (Kind.NUMBER, {int, float}),
    (Kind.TIME, {datetime}),
    (Kind.JSON, {dict, list}),
)
