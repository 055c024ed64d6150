"""Opening a file that should hold text, and telling early when it does not."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from producer.errors import SourceError

#: Bytes looked at to tell text from binary: one disk read, and every known signature is far shorter.
SNIFF_BYTES = 8192
#: A file with NUL bytes is binary below this share of text. One stray NUL in a real review file leaves
#: the share near 1; machine code, images and databases measure under 0.6.
MIN_TEXT_SHARE = 0.7

#: Signatures of files that people pass by mistake. PAR1 alone could start an honest header, so it counts
#: only before a byte that no text has there.
_SIGNATURES: list[tuple[re.Pattern[bytes], str]] = [
    (re.compile(rb"\x1f\x8b"), "a gzip"),
    (re.compile(rb"PK(\x03\x04|\x05\x06)"), "a zip or Excel"),
    (re.compile(rb"PAR[1E][^\t\n\r\x20-\x7e]"), "a Parquet"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "a PNG"),
    (re.compile(rb"SQLite format 3\x00"), "a SQLite"),
    (re.compile(rb"%PDF-"), "a PDF"),
    (re.compile(rb"\x28\xb5\x2f\xfd"), "a zstd"),
    (re.compile(rb"\xfd7zXZ\x00"), "an xz"),
    (re.compile(rb"BZh[1-9]1AY&SY"), "a bzip2"),
    (re.compile(rb"\xff\xd8\xff"), "a JPEG"),
    (re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "an old Excel or Office"),
    (re.compile(rb"ARROW1\x00\x00"), "an Arrow"),
    (re.compile(rb"\x7fELF"), "a program"),
]
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
#: Control characters that text does not hold; tab, newline, form feed and carriage return it does.
_CONTROLS = dict.fromkeys([*range(9), 11, *range(14, 32), 127])


def display_name(path: Path) -> str:
    """Return the file's name as valid Unicode: a name of stray bytes could be neither stored nor printed."""
    return os.fsencode(path.name).decode("utf-8", "replace")


class TextFile:
    """A readable regular file, not empty, that looks like text; anything else raises SourceError.

    Only regular files pass: a pipe would lose the bytes looked at here and can not be read twice.
    """

    def __init__(self, path: Path) -> None:
        check_text_file(path)
        self.name = display_name(path)
        self.path = path
        self._open: BinaryIO | None = None
        self._share = 0.0

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file's bytes from the beginning, for as long as the block lasts; `share_read` tells how far it came."""
        with opened(self.path) as file:
            self._open = file
            try:
                yield file
            finally:
                self._share, self._open = _share_passed(file), None

    def share_read(self) -> float:
        """The share of the bytes, 0 to 1, that the latest `opened` has read: a buffer more than was taken from it."""
        return self._share if self._open is None else _share_passed(self._open)


def check_text_file(path: Path) -> None:
    """Raise SourceError unless `path` is a readable regular file, not empty, that looks like text."""
    with opened(path) as file:
        sample = file.read(SNIFF_BYTES)
    if not sample:
        raise SourceError(f"{str(path)!r} is empty; a source holds at least one review")
    if sample.startswith(_WIDE_MARKS):
        raise SourceError(f"{str(path)!r} is UTF-16 or UTF-32 text; save it as UTF-8")
    if kind := _binary_kind(sample):
        raise SourceError(f"{str(path)!r} looks like {kind} file, not text; csv and jsonl are read")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file's bytes for as long as the block lasts; an OSError in it becomes a SourceError."""
    try:
        _check_regular(path)
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise SourceError(f"no such file: {str(path)!r}") from None
    except OSError as error:
        raise SourceError(f"{str(path)!r} can not be read: {error.strerror or error}") from error


def _share_passed(file: BinaryIO) -> float:
    # The file may have grown since it was opened.
    return min(1.0, file.tell() / max(1, os.fstat(file.fileno()).st_size))


def _check_regular(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except ValueError:  # a NUL in the path
        raise SourceError(f"{str(path)!r} is not a possible file name") from None
    if S_ISDIR(mode):
        raise SourceError(f"{str(path)!r} is a directory; name one file")
    if not S_ISREG(mode):
        raise SourceError(f"{str(path)!r} is a pipe or device; name a regular file")


def _binary_kind(sample: bytes) -> str | None:
    for signature, kind in _SIGNATURES:
        if signature.match(sample):
            return kind
    if b"\0" in sample and _text_share(sample) < MIN_TEXT_SHARE:
        return "a binary"
    return None


def _text_share(sample: bytes) -> float:
    text = sample.decode("utf-8", "ignore").translate(_CONTROLS)
    return len(text.encode()) / len(sample)
