"""The first of some rows, and whether there are more."""

from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

Row = TypeVar("Row")


class Cut(Generic[Row]):
    """The first `limit` of rows of which one more was asked for.

    `last_of_more` is, once they are read to their end, the last of them where others follow, and else None.
    """

    def __init__(self, rows: Iterator[Row], limit: int) -> None:
        self._rows = rows
        self.limit = limit
        self.last_of_more: Row | None = None

    def __iter__(self) -> Iterator[Row]:
        last = None
        for last in islice(self._rows, self.limit):
            yield last
        if last is not None and next(self._rows, None) is not None:
            self.last_of_more = last
