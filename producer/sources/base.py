"""What every source offers, whatever it reads."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """One record as it stands in the source; nothing about its values has been checked.

    `row` is the source line, counted from 1, on which the record starts; where there are no lines, as in a table, the
    record's number. `part` is the file that it stands in, of a source that is several.
    """

    row: int
    values: dict[str, object]
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that could not be taken apart, and why; those after it still come.

    `row` and `part` are those of a Record.
    """

    row: int
    reason: str
    part: str | None = None


class Source(Protocol):
    """A stream of records. Each call of `records` starts again from the beginning.

    Standard input cannot: it is read once, and again only as long as no more than its beginning was.
    """

    @property
    def name(self) -> str:
        """The default name of the source, under which its reviews are stored; it holds no password."""

    @property
    def notices(self) -> list[str]:
        """What was guessed about the source and how to overrule it, a line each, for a person to see."""

    def columns(self) -> list[str] | None:
        """The columns known before reading on; None where nothing tells them. May raise SourceError."""

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Every record in order. May raise SourceError when the source itself stops being readable.

        Where `only` names columns, values of others may be left out: a source that saves by it need not fetch them.
        """

    def rows(self) -> int | None:
        """How many rows there are, where that is known without reading them; None elsewhere. May raise SourceError."""

    def share_read(self) -> float | None:
        """The share of the source, 0 to 1, that the latest iteration of `records` has read so far.

        Of its bytes, or of its rows where those are known. None where it cannot be told, as of standard input.
        """
