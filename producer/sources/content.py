"""What a place holds, taken out of its compression and opened as often as asked."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from producer.errors import SourceError
from producer.settings import ProducerSettings
from producer.sources.base import Record, Unreadable
from producer.sources.bounds import UnpacksTooFar
from producer.sources.breaks import telling_rows
from producer.sources.compression import DAMAGES, SIGNATURE_BYTES, compression_of, decompressed
from producer.sources.places import LocalFile, Place

#: The pieces in which bytes are copied to a file that can be read in any order.
_COPIED_BYTES = 2**20


class Content:
    """The bytes of one place, decompressed. Raises SourceError where it cannot be opened or is empty."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._raw: IO[bytes] | None = None
        self._size: int | None = None
        self._share: float | None = 0.0
        self._copy: IO[bytes] | None = None
        self.most_ratio = ProducerSettings().max_unpacked_ratio
        with _told_plainly(place), place.open() as raw:
            start = raw.read(SIGNATURE_BYTES)
        if not start:
            raise SourceError(f"{place.shown} is empty; a source holds at least one review")
        self.compression = compression_of(start)

    @property
    def name(self) -> str:
        """The default name of the source."""
        return self.place.name

    @property
    def shown(self) -> str:
        """How messages name it."""
        return self.place.shown

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The bytes from the beginning, for as long as the block lasts. Raises SourceError, also from within it."""
        with _told_plainly(self.place), self.place.open() as raw:
            self._raw, self._size = raw, self.place.size_bytes()
            file = raw if self.compression is None else decompressed(raw, self.compression, self.most_ratio)
            try:
                yield file
            finally:
                self._share, self._raw = self._passed(raw), None

    @contextmanager
    def opened_seekable(self) -> Iterator[IO[bytes]]:
        """The same, to be read in any order: from a temporary file where the place itself does not let one."""
        with _told_plainly(self.place):
            file = self.place.open_seekable() if self.compression is None else None
            with file or open(self._copied().name, "rb") as file:
                yield file

    def head(self, size: int) -> bytes:
        """The first bytes, up to `size`."""
        with self.opened() as file:
            return file.read(size)

    def share_read(self) -> float | None:
        """The share of the place's bytes, 0 to 1, that the latest `opened` has taken, ahead by a buffer.

        None where it is not known how many there are.
        """
        return self._share if self._raw is None else self._passed(self._raw)

    def told(self, records: Iterable[Record | Unreadable]) -> Iterator[Record | Unreadable]:
        """The records. An error in the middle of them says after how many."""
        if isinstance(self.place, LocalFile) and self.compression is None:
            return iter(records)  # these hardly break, and it would cost each of them time
        return telling_rows(records)

    def _passed(self, raw: IO[bytes]) -> float | None:
        # The place may have grown since it was opened.
        return None if self._size is None else min(1.0, raw.tell() / max(1, self._size))

    def _copied(self) -> IO[bytes]:
        """The temporary file that holds the bytes. It is made once, and gone with this object."""
        if self._copy is None:
            copy = tempfile.NamedTemporaryFile(prefix="reviewmill-")  # noqa: SIM115 - it outlives this call
            with self.opened() as file:
                shutil.copyfileobj(file, copy, _COPIED_BYTES)
            copy.flush()
            self._copy = copy
        return self._copy


@contextmanager
def _told_plainly(place: Place) -> Iterator[None]:
    try:
        yield
    except UnpacksTooFar as error:
        raise SourceError(f"{place.shown} can not be read: {error}") from error
    except (*DAMAGES, OSError) as error:
        # Errors of the system have a number; an archive's own have none.
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else f"it is cut off or damaged ({_reason(error)})"
        raise SourceError(f"{place.shown} can not be read: {reason}") from error


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
