"""How a person writes that one value is larger or smaller than another, and what compares them so."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

#: For values and for columns: of a column it makes a condition.
ORDERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
