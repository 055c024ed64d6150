"""The columns that are kept beside a review: values that JSON and both databases can hold."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from math import isfinite
from typing import Any

from producer.sources.bounds import MAX_JSON_DEPTH
from producer.values import RejectedValue, not_longer, storable


def kept_values(values: Mapping[str, object], columns: Sequence[str], max_chars: int) -> dict[str, Any]:
    """What stands in those columns of a record, by name; null where nothing does.

    Raises RejectedValue for text longer than `max_chars` or that no database can store, for lists and objects that
    hold more than so many characters and values together, or that are nested too deeply.
    """
    return {name: _Column(f"column {name!r}", max_chars).plain(values.get(name)) for name in columns}


@dataclass(slots=True)
class _Column:
    """What is kept of one column of one record, and how much so far."""

    what: str
    most: int
    size: int = 0

    def plain(self, value: object, depth: int = 0) -> Any:
        """The value as JSON knows it: what is no number is null, and what has no form in JSON is told as text."""
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if isfinite(value) else None
        if isinstance(value, list | tuple | dict):
            return self._several(value, depth + 1)
        text = value.isoformat() if isinstance(value, date | datetime | time) else str(value)
        return self._text(text, depth)

    def _several(self, value: Collection[object], depth: int) -> Any:
        if depth > MAX_JSON_DEPTH:
            raise RejectedValue(f"the {self.what} is nested more than {MAX_JSON_DEPTH} lists and objects deep")
        self._count(len(value))
        if isinstance(value, dict):
            return {self._text(str(name), depth): self.plain(one, depth) for name, one in value.items()}
        return [self.plain(one, depth) for one in value]

    def _text(self, value: str, depth: int) -> str:
        not_longer(value, self.what, self.most)
        if depth:
            self._count(len(value))
        return storable(value, self.what)

    def _count(self, more: int) -> None:
        self.size += more
        if self.size > self.most:
            raise RejectedValue(
                f"the {self.what} holds more than {self.most:,} characters and values together, "
                "which is all that REVIEWMILL_MAX_REVIEW_CHARS allows"
            )
