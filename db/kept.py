"""The columns that jobs keep beside their reviews, in `reviews.metadata`, and conditions on what stands in them."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, false, func, not_, or_, select

from db.dialect import bytewise, is_number, json_text, number, to_number
from db.errors import BadCondition, UnknownColumn
from db.orders import ORDERS
from db.tables import Job, Review

#: Where the params of a job name the columns that it keeps.
KEPT_COLUMNS = "kept_columns"
_WRITTEN = re.compile(r"(?P<column>.+?)(?P<comparison>!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """What must stand in a column that is kept; `comparison` is `=`, `!=`, `<`, `<=`, `>` or `>=`."""

    column: str
    comparison: str
    value: str


def read_condition(written: str) -> Condition:
    """The condition that a person wrote, as in `shop=north` and `stars>=4`. Raises BadCondition."""
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise BadCondition(f"{written!r} is no condition: write COL=VALUE, or !=, <, <=, > or >= in place of the =")
    return Condition(**found.groupdict())


def kept_columns(connection: Connection) -> list[str]:
    """Every column that some job keeps, in order of name."""
    kept = Job.params[KEPT_COLUMNS].as_json()
    found = connection.scalars(select(kept).where(kept.is_not(None)))
    return sorted({name for names in found for name in names or ()})


def check_kept(connection: Connection, conditions: Iterable[Condition]) -> None:
    """Raise UnknownColumn for a condition on a column that no job keeps."""
    check_kept_columns(connection, [condition.column for condition in conditions])


def check_kept_columns(connection: Connection, columns: Collection[str]) -> None:
    """Raise UnknownColumn for a column that no job keeps."""
    known = kept_columns(connection) if columns else []
    for column in sorted(set(columns).difference(known)):
        kept = ", ".join(map(repr, known)) if known else "none; keep some with `score SOURCE --keep COL`"
        raise UnknownColumn(f"no job keeps a column {column!r}; kept are: {kept}")


def satisfies(connection: Connection, condition: Condition) -> ColumnElement[bool]:
    """Whether a review satisfies the condition; one without a value in the column satisfies none.

    Compared as numbers where the condition's value and the review's are written as such, and as text, code point by
    code point, where the condition's is not.
    """
    text, value = json_text(connection, Review.extra, condition.column), condition.value
    wanted = number(connection, value) if is_number(value) else None
    compare = ORDERS.get(condition.comparison)
    if compare is not None:
        if wanted is None:
            return compare(bytewise(connection, text), value)
        return compare(to_number(connection, text), wanted)
    is_equal = text == value
    if wanted is not None:
        is_equal = or_(is_equal, func.coalesce(to_number(connection, text) == wanted, false()))
    return is_equal if condition.comparison == "=" else and_(text.is_not(None), not_(is_equal))
