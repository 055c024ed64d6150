"""Rows that were refused, put aside until there is a job that they are failures of."""

import json
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from weakref import finalize

from db.jobs import RejectedRow

#: What stays in memory, in bytes: some ten thousand rows. A source may be rotten for gigabytes.
_IN_MEMORY = 2**20
#: Read back in pieces of so many bytes.
_PIECE = 2**18


class RejectedRows:
    """Rows in the order of the source: in memory while they are few, and beyond that in a file without a name."""

    def __init__(self) -> None:
        # Closed, and thereby gone, with this object.
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
        self._count = 0
        finalize(self, self._file.close)

    def add(self, rows: Iterable[RejectedRow]) -> None:
        """Put further rows aside."""
        self._file.seek(0, 2)
        for row in rows:
            self._file.write(json.dumps(row).encode() + b"\n")
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[RejectedRow]:
        at = 0
        while True:
            # Another may have read, or written, meanwhile.
            self._file.seek(at)
            lines = self._file.readlines(_PIECE)
            at = self._file.tell()
            if not lines:
                return
            yield from (RejectedRow._make(json.loads(line)) for line in lines)
