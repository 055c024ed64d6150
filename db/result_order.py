"""In which order results come, and pages of them: from the sort key of the last row to the next.

Every order ends with the ids of review and model, so that no two rows are equal, and runs one way through all its
columns, as an index can be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal, tuple_

from db.cursors import read_cursor, write_cursor
from db.dialect import bytewise
from db.errors import BadFilter
from db.result_filters import ResultFilter
from db.tables import Prediction, Review

#: What can be sorted by, as people write it, and the field of a Result that has it.
_FIELDS = {
    "id": None,
    "external-id": "external_id",
    "score": "score",
    "margin": "margin",
    "tokens": "tokens",
    "scored-at": "scored_at",
}
#: Each upwards and, with a minus, downwards.
SORTS = tuple(sign + name for name in _FIELDS for sign in ("", "-"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a result stands: its value of what is sorted by, its ids, and how many results came up to it."""

    value: Any
    review_id: int
    model_id: int
    number: int


def check_sort(sort: str, possible: Sequence[str] = SORTS) -> None:
    """Raise BadFilter for what can not be sorted by."""
    if sort not in possible:
        raise BadFilter(f"nothing can be sorted by {sort!r}; possible are: {', '.join(possible)}")


def ordered(connection: Connection, statement: Select[Any], wanted: ResultFilter) -> Select[Any]:
    """The page of the statement that a resolved filter asks for. Raises BadFilter and BadCursor."""
    check_sort(wanted.order)
    keys, is_descending = _keys(connection, wanted), wanted.order.startswith("-")
    came = 0
    if wanted.after is not None:
        place = _read_place(wanted, wanted.after)
        came = place.number
        here, there = tuple_(*keys), tuple_(*_values(keys, place))
        statement = statement.where(here < there if is_descending else here > there)
    limits = [] if wanted.limit is None else [wanted.limit]
    if wanted.uncertain is not None:
        limits.append(wanted.uncertain - came)
    return statement.order_by(*(key.desc() if is_descending else key for key in keys)).limit(min(limits, default=None))


def field_of(wanted: ResultFilter) -> str | None:
    """The field of a Result that it is sorted by; None for its ids alone."""
    return _FIELDS[wanted.order.removeprefix("-")]


def results_before(wanted: ResultFilter) -> int:
    """How many results came before the page that a resolved filter asks for. Raises BadCursor."""
    return 0 if wanted.after is None else _read_place(wanted, wanted.after).number


def cursor_after(wanted: ResultFilter, place: Place) -> str:
    """The cursor of the page that begins after a place in the order of a resolved filter."""
    value = place.value.isoformat() if isinstance(place.value, datetime) else place.value
    return write_cursor(_question(wanted), [value, place.review_id, place.model_id, place.number])


def _read_place(wanted: ResultFilter, cursor: str) -> Place:
    place = Place(*read_cursor(_question(wanted), cursor))  # type: ignore[arg-type]
    if field_of(wanted) == "scored_at":
        return replace(place, value=datetime.fromisoformat(place.value))
    return place


def _question(wanted: ResultFilter) -> ResultFilter:
    """What is the same for all pages."""
    return replace(wanted, sort=wanted.order, limit=None, after=None)


def _keys(connection: Connection, wanted: ResultFilter) -> list[ColumnElement[Any]]:
    field = field_of(wanted)
    ids = [Prediction.review_id.expression, Prediction.model_id.expression]
    if field is None:
        return ids
    # PostgreSQL would put texts in order as its locale does.
    key = bytewise(connection, Review.external_id.expression) if field == "external_id" else getattr(Prediction, field)
    return [key, *ids]


def _values(keys: Sequence[ColumnElement[Any]], place: Place) -> list[ColumnElement[Any]]:
    values = (place.value, place.review_id, place.model_id)[-len(keys) :]
    return [literal(value, key.type) for key, value in zip(keys, values, strict=True)]
