"""Sources that stop being readable in the middle."""

from collections.abc import Iterable, Iterator

from producer.errors import SourceError
from producer.sources.base import Record, Unreadable


def telling_rows(records: Iterable[Record | Unreadable]) -> Iterator[Record | Unreadable]:
    """The records. A SourceError in the middle of them says after how many."""
    rows = 0
    try:
        for record in records:
            rows += 1
            yield record
    except SourceError as error:
        raise SourceError(f"{error}, after {rows:,} {'row' if rows == 1 else 'rows'}") from error
