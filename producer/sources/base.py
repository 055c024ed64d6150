"""What every source offers, whatever it reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """One record as it stands in the source; nothing about its values has been checked.

    `row` is the source line, counted from 1, on which the record starts.
    """

    row: int
    values: dict[str, object]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that could not be taken apart, and why; those after it still come.

    `row` is the source line, counted from 1, on which the record starts.
    """

    row: int
    reason: str


class Source(Protocol):
    """A stream of records. Each call of `records` starts again from the beginning."""

    @property
    def name(self) -> str:
        """The default name of the source, under which its reviews are stored."""

    def columns(self) -> list[str] | None:
        """The columns known before reading on; None where nothing tells them. May raise SourceError."""

    def records(self) -> Iterator[Record | Unreadable]:
        """Every record in order. May raise SourceError when the source itself stops being readable."""
