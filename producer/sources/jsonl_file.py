"""JSON Lines: one object a line."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from producer.sources.base import Record, Unreadable
from producer.sources.text_file import TextFile

#: The longest line, in bytes, that is read into memory; what lies beyond is passed over unread.
MAX_LINE_BYTES = 16 * 2**20
#: The piece in which the rest of a longer line is passed over.
SKIP_BYTES = 64 * 2**10


class JsonlSource:
    """A JSON Lines file in UTF-8, with or without a byte order mark.

    Lines of white space are skipped and are no records. A line that is not JSON, not an object, not UTF-8
    or longer than MAX_LINE_BYTES comes out as Unreadable. Memory stays flat.

    Raises SourceError for a file that is no text.
    """

    def __init__(self, path: Path) -> None:
        self._file = TextFile(path)
        self.name = self._file.name
        self.notices: list[str] = []

    def columns(self) -> list[str] | None:
        """Return the keys of the first object, all that is known ahead; None when the file has no object."""
        found = (record for record in self.records() if isinstance(record, Record))
        first = next(found, None)
        return None if first is None else list(first.values)

    def records(self) -> Iterator[Record | Unreadable]:
        """Yield every line that is not blank, in file order."""
        with self._file.opened() as file:
            for row, line in _lines(file):
                if line is None:
                    yield Unreadable(row, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
                elif content := line.rstrip():
                    yield _record(row, content)

    def rows(self) -> int | None:
        """Return None: only reading tells."""
        return None

    def share_read(self) -> float | None:
        """Return the share of the file's bytes that the latest `records` has read."""
        return self._file.share_read()


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line with its number; None stands for one too long to hold."""
    row = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        row += 1
        if row == 1:
            line = line.removeprefix(BOM_UTF8)
        if len(line) > MAX_LINE_BYTES:
            _skip_rest(file, line)
            yield row, None
        else:
            yield row, line


def _skip_rest(file: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(SKIP_BYTES)


def _record(row: int, line: bytes) -> Record | Unreadable:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Unreadable(row, f"byte 0x{line[error.start]:02x} at position {error.start + 1} is not UTF-8")
    except json.JSONDecodeError as error:
        return Unreadable(row, f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}")
    except RecursionError:
        return Unreadable(row, "the JSON is nested too deeply")
    except ValueError:  # an integer of more digits than Python converts
        return Unreadable(row, "the JSON holds a number with too many digits")
    if not isinstance(value, dict):
        return Unreadable(row, "the line is JSON but not an object like {...}")
    return Record(row, value)
