"""Values as text formats write them, a column at a time."""

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

from cli.output import to_json


def isos(times: Sequence[Any]) -> list[str | None]:
    """Times in ISO form with their zone; those that are text, or none, as they are."""
    return [time if time is None or isinstance(time, str) else time.isoformat() for time in times]


def json_sources(values: Sequence[Any]) -> list[str | None]:
    """JSON documents, each on one line, their characters as they are rather than escaped; None for none."""
    return [value if isinstance(value, str) and "\\u" not in value else _plain(value) for value in values]


def are_finite(values: Sequence[Any]) -> bool:
    """Whether all are numbers, none of them infinite or no number at all."""
    try:
        return isfinite(sum(values))
    except (TypeError, OverflowError):  # one is None; or together they are larger than any float
        return False


def _plain(value: Any) -> str | None:
    if not isinstance(value, str):
        return None if value is None else to_json(value)
    plain = to_json(json.loads(value))
    try:
        plain.encode()
    except UnicodeEncodeError:  # half a character, which only its escape can stand for
        return value
    return plain
