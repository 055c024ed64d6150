"""The columns that are kept beside a review: values that JSON and both databases can hold."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from math import isfinite
from typing import Any

from producer.values import not_longer, storable


def kept_values(values: Mapping[str, object], columns: Sequence[str], max_chars: int) -> dict[str, Any]:
    """What stands in those columns of a record, by name; null where nothing does.

    Raises RejectedValue for text longer than `max_chars` or that no database can store.
    """
    return {name: _plain(values.get(name), f"column {name!r}", max_chars) for name in columns}


def _plain(value: object, what: str, max_chars: int) -> Any:
    """The value as JSON knows it: what is no number is null, and what has no form in JSON is told as text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(one, what, max_chars) for one in value]
    if isinstance(value, dict):
        return {_text(str(name), what, max_chars): _plain(one, what, max_chars) for name, one in value.items()}
    return _text(value.isoformat() if isinstance(value, date | datetime | time) else str(value), what, max_chars)


def _text(value: str, what: str, max_chars: int) -> str:
    not_longer(value, what, max_chars)
    return storable(value, what)
