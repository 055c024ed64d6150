"""Several sources read as one, one after the other."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from producer.sources.base import Record, Source, Unreadable
from producer.sources.file_source import FileSource

#: Of more parts the rest is counted in a name and in a notice.
_SHOWN_PARTS = 3


class Part(NamedTuple):
    """A source, and what tells it from others that it is read with: the file as it was named or found."""

    label: str | None
    source: Source

    @classmethod
    def of(cls, source: Source) -> "Part":
        """The part that a source is."""
        return cls(source.content.place.label if isinstance(source, FileSource) else source.name, source)


class PartsSource:
    """Sources in turn, whose records tell which one they stand in; `row` stays the line there."""

    def __init__(self, name: str, parts: Sequence[Part]) -> None:
        self.name = name
        self.parts = parts
        self.notices = _notices(parts)
        self._weights = _weights(parts)
        self._current = 0

    def columns(self) -> list[str] | None:
        """Return the columns that all parts have of which they are known, in the order of the first."""
        known = [names for names in (part.source.columns() for part in self.parts) if names is not None]
        return [name for name in known[0] if all(name in names for names in known)] if known else None

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Every record of the first part, then those of the next."""
        for index, part in enumerate(self.parts):
            self._current = index
            for record in part.source.records(only):
                if isinstance(record, Record):
                    yield Record(record.row, record.values, part.label)
                else:
                    yield Unreadable(record.row, record.reason, part.label)

    def rows(self) -> int | None:
        """Return the rows of all parts, where every one tells them."""
        counts = [part.source.rows() for part in self.parts]
        return None if None in counts else sum(filter(None, counts))

    def share_read(self) -> float | None:
        """Return the share that was read, by the parts' sizes where all are files, else as if they were equal."""
        of_this = self.parts[self._current].source.share_read()
        if of_this is None:
            return None
        before, this = sum(self._weights[: self._current]), self._weights[self._current]
        return (before + of_this * this) / (sum(self._weights) or 1)


def joined_name(names: Sequence[str]) -> str:
    """The default name of several sources: theirs, and how many more."""
    more = len(names) - _SHOWN_PARTS
    return ", ".join(names[:_SHOWN_PARTS]) + (f" and {more} more" if more > 0 else "")


def _weights(parts: Sequence[Part]) -> list[int]:
    """How much of the whole each part is: its bytes where all are files, else the same for each."""
    sizes = [part.source.content.place.size_bytes() for part in parts if isinstance(part.source, FileSource)]
    known = [size for size in sizes if size is not None]
    return known if len(known) == len(parts) else [1] * len(parts)


def _notices(parts: Sequence[Part]) -> list[str]:
    """What is to be said of the parts; the same of many of them is said once."""
    found: dict[str, list[str]] = defaultdict(list)
    for label, source in parts:
        for notice in source.notices:
            # A notice names its file, which alone makes it another than the next one's.
            found[notice.replace(repr(label), "{}")].append(repr(label))
    return [_notice(form, labels) for form, labels in found.items()]


def _notice(form: str, labels: list[str]) -> str:
    more = f" (and {len(labels) - 1} more)" if len(labels) > 1 else ""
    return form.replace("{}", labels[0] + more)
