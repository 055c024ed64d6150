"""Conditions on the probability that a model gives any one label, whether it is the top one or not."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection

from db.dialect import json_number
from db.errors import BadCondition, BadFilter
from db.orders import ORDERS
from db.tables import Prediction

#: The last comparison counts: a label may hold others.
_WRITTEN = re.compile(r"(?P<label>.+)(?P<comparison><=|>=|<|>)(?P<value>[^<>=]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Bound:
    """What the probability of a label must be; `comparison` is `<`, `<=`, `>` or `>=`, and `value` 0 to 1."""

    label: str
    comparison: str
    value: float

    def __str__(self) -> str:
        return f"{self.label}{self.comparison}{self.value:g}"


def read_bound(written: str) -> Bound:
    """The condition that a person wrote, as in `spam>=0.3`. Raises BadCondition."""
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise BadCondition(f"{written!r} is no condition: write LABEL>=P, or >, <= or < in place of the >=")
    label, comparison, number = found.groups()
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise BadCondition(f"{written!r}: {number.strip()!r} is no probability; write a number from 0 to 1")
    return Bound(label, comparison, value)


def within(connection: Connection, bound: Bound) -> ColumnElement[bool]:
    """Whether a prediction's probability of the label is so; one of a model without that label never is."""
    return ORDERS[bound.comparison](json_number(connection, Prediction.probabilities, bound.label), bound.value)


def check_bounds(bounds: Iterable[Bound]) -> None:
    """Raise BadFilter for two on one label that no probability can satisfy."""
    lowest: dict[str, Bound] = {}
    highest: dict[str, Bound] = {}
    for bound in sorted(bounds, key=_looseness):
        (lowest if ">" in bound.comparison else highest)[bound.label] = bound
    for label in lowest.keys() & highest.keys():
        low, high = lowest[label], highest[label]
        is_open = {low.comparison, high.comparison} != {">=", "<="}
        if low.value > high.value or (low.value == high.value and is_open):
            raise BadFilter(f"no probability is both {low} and {high}")


def _looseness(bound: Bound) -> tuple[float, bool]:
    """The tighter of two bounds on the same side sorts last."""
    return (bound.value if ">" in bound.comparison else -bound.value), "=" not in bound.comparison
