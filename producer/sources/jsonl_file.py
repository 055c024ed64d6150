"""JSON Lines: one object a line."""

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import IO

from producer.sources.base import Record, Unreadable
from producer.sources.bounds import MAX_JSON_DEPTH, is_too_deep
from producer.sources.content import Content
from producer.sources.encoding import UTF_8
from producer.sources.file_source import FileSource
from producer.sources.text_file import TextFile, TextForm

#: The longest line, in bytes, that is read into memory; what lies beyond is passed over unread.
MAX_LINE_BYTES = 16 * 2**20
#: The piece in which the rest of a longer line is passed over.
SKIP_BYTES = 64 * 2**10
_AS_FOUND = TextForm()
_TOO_DEEP = f"the JSON is nested too deeply; at most {MAX_JSON_DEPTH} lists and objects are inside one another"


class JsonlSource(FileSource):
    """A JSON Lines file, in UTF-8 with or without a byte order mark unless another encoding is told or found.

    Lines of white space are skipped and are no records. A line that is not JSON, not an object, not of the encoding,
    nested too deeply or longer than MAX_LINE_BYTES comes out as Unreadable. Memory stays flat.

    Raises SourceError for a file that is no text.
    """

    def __init__(self, content: Content, form: TextForm = _AS_FOUND) -> None:
        super().__init__(content)
        self._file = TextFile(content, form.encoding)
        self.notices += self._file.notices

    def columns(self) -> list[str] | None:
        """Return the keys of the first object, all that is known ahead; None when the file has no object."""
        found = (record for record in self._records() if isinstance(record, Record))
        first = next(found, None)
        return None if first is None else list(first.values)

    def _records(self) -> Iterator[Record | Unreadable]:
        with self._file.opened() as file:
            for row, line in _lines(file):
                if line is None:
                    yield Unreadable(row, f"the line is longer than {MAX_LINE_BYTES:,} bytes")
                elif content := line.rstrip():
                    yield _record(row, content, self._file.encoding)


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
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


def _skip_rest(file: IO[bytes], line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = file.readline(SKIP_BYTES)


def _record(row: int, line: bytes, encoding: str) -> Record | Unreadable:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        if encoding != UTF_8:
            return Unreadable(row, f"the line holds a byte that is not {encoding}")
        return Unreadable(row, f"byte 0x{line[error.start]:02x} at position {error.start + 1} is not UTF-8")
    except json.JSONDecodeError as error:
        return Unreadable(row, f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}")
    except RecursionError:
        return Unreadable(row, _TOO_DEEP)
    except ValueError:  # an integer of more digits than Python converts
        return Unreadable(row, "the JSON holds a number with too many digits")
    if not isinstance(value, dict):
        return Unreadable(row, "the line is JSON but not an object like {...}")
    # Nearly no line has so many brackets at all.
    if line.count(b"[") + line.count(b"{") > MAX_JSON_DEPTH and is_too_deep(value):
        return Unreadable(row, _TOO_DEEP)
    return Record(row, value)
