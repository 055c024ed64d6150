"""Where the bytes of a source are: in a file, on standard input; what can be opened, and as often as asked."""

import os
import sys
from functools import lru_cache
from io import BufferedReader, RawIOBase
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO, Any, Protocol

from producer.errors import SourceError

#: What standard input is called where it is typed.
STANDARD_INPUT = "-"
#: Of standard input this much is kept, to look at what it is and still read it from the beginning.
_KEPT_BYTES = 2**20


class Place(Protocol):
    """Somewhere that bytes are read from."""

    @property
    def name(self) -> str:
        """The default name of a source that is here; it holds no password."""

    @property
    def label(self) -> str:
        """The place as it was named, fit to be stored and shown."""

    @property
    def shown(self) -> str:
        """The same as messages tell it, in quotes where they are needed."""

    @property
    def extensions(self) -> list[str]:
        """What its name ends in, lower case: `.csv`, `.gz`."""

    def open(self) -> IO[bytes]:
        """The bytes from the beginning, buffered. Raises SourceError."""

    def open_seekable(self) -> IO[bytes] | None:
        """The same to be read in any order; None where that is not possible. Raises SourceError."""

    def size_bytes(self) -> int | None:
        """How many there are, where that is known. Raises SourceError."""


class LocalFile:
    """A regular file. A pipe would lose the bytes that are looked at first and cannot be read twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = printable(path.name)
        self.label = printable(str(path))
        self.shown = repr(self.label)
        self.extensions = [suffix.lower() for suffix in path.suffixes]

    def open(self) -> IO[bytes]:
        """Open the file."""
        try:
            _check_regular(self._path)
            return self._path.open("rb")
        except OSError as error:
            raise _unreadable(self.shown, error) from error

    def open_seekable(self) -> IO[bytes]:
        """Open the file."""
        return self.open()

    def size_bytes(self) -> int:
        """Return the size that the file has now."""
        try:
            return self._path.stat().st_size
        except OSError as error:
            raise _unreadable(self.shown, error) from error


class StandardInput:
    """What is piped into the command. It can be opened again for as long as no more than its beginning was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._head: bytes | None = None
        self._passed = False
        self.name = "stdin"
        self.label = self.shown = "standard input"
        self.extensions: list[str] = []

    def open(self) -> IO[bytes]:
        """Return what was kept, and after it the rest. Raises SourceError once the rest has been read on."""
        if self._passed:
            raise SourceError("standard input can be read only once; save it to a file and name that")
        if self._head is None:
            self._head = self._stream.read(_KEPT_BYTES)
        return BufferedReader(_Replayed(self, self._head))

    def open_seekable(self) -> None:
        """Return None."""
        return None

    def size_bytes(self) -> None:
        """Return None: it ends when it ends."""
        return None

    def read_on(self, size: int) -> bytes:
        """The next bytes after those that are kept."""
        self._passed = True
        return self._stream.read(size)


class _Replayed(RawIOBase):
    """Standard input from its beginning."""

    def __init__(self, place: StandardInput, head: bytes) -> None:
        self._place = place
        self._head = head
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._head[self._at : self._at + len(buffer)]
        if not piece and len(self._head) == _KEPT_BYTES:
            piece = self._place.read_on(len(buffer))
        self._at += len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def standard_input() -> StandardInput:
    """The one standard input of this process, however often it is named. Raises SourceError where there is none."""
    if sys.stdin is None:
        raise SourceError("standard input is closed; name a file")
    return _standard_input(sys.stdin.buffer)


@lru_cache(maxsize=1)
def _standard_input(stream: IO[bytes]) -> StandardInput:
    return StandardInput(stream)


def printable(path: str) -> str:
    """Return a path as valid Unicode: one of stray bytes could be neither stored nor printed."""
    return os.fsencode(path).decode("utf-8", "replace")


def _unreadable(shown: str, error: OSError) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceError(f"no such file: {shown}")
    return SourceError(f"{shown} can not be read: {error.strerror or error}")


def _check_regular(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except ValueError:  # a NUL in the path
        raise SourceError(f"{str(path)!r} is not a possible file name") from None
    if S_ISDIR(mode):
        raise SourceError(f"{str(path)!r} is a directory; name one file")
    if not S_ISREG(mode):
        raise SourceError(f"{str(path)!r} is a pipe or device; name a regular file, or - for standard input")
