"""What all sources have in common that are one file."""

from collections.abc import Collection, Iterator

from producer.sources.base import Record, Unreadable
from producer.sources.content import Content


class FileSource:
    """A source of one file; those of a format tell `columns` and `_records`."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.name = content.name
        self.notices: list[str] = []

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Every record in the order of the file, whole: leaving out columns would save nothing."""
        return self.content.told(self._records())

    def rows(self) -> int | None:
        """Return None: only reading tells."""
        return None

    def share_read(self) -> float | None:
        """Return the share of the file's bytes that the latest `records` has read, as far as it can be told."""
        return self.content.share_read()

    def _records(self) -> Iterator[Record | Unreadable]:
        raise NotImplementedError
