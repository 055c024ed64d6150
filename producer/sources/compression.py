"""Compressed bytes, told by what they start with and read as they come."""

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable
from io import BufferedReader
from typing import IO, Any

from producer.sources.bounds import Bounded, Measured

#: Name endings that say how a file is compressed, and nothing of what is in it.
EXTENSIONS = (".gz", ".zst", ".bz2", ".xz", ".lz4")
#: What readers of damaged or cut off archives raise, beside an OSError without a number.
DAMAGES = (EOFError, zlib.error, lzma.LZMAError)

#: No text starts like these. A zstd archive may start with a frame to be skipped.
_SIGNATURES: dict[str, re.Pattern[bytes]] = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
}
#: The longest of them.
SIGNATURE_BYTES = 10
#: Unpacked in pieces of this size.
_UNPACKED_BYTES = 64 * 2**10


def compression_of(start: bytes) -> str | None:
    """How bytes that start like this are compressed; None where they are not."""
    return next((name for name, signature in _SIGNATURES.items() if signature.match(start)), None)


def decompressed(file: IO[bytes], compression: str, most_ratio: int) -> IO[bytes]:
    """The bytes inside. Reading them raises one of DAMAGES or an OSError where the archive is damaged or cut off.

    UnpacksTooFar where they come to more than so many times the bytes of the archive; see bounds.
    """
    packed = Measured(file)
    return BufferedReader(Bounded(_READERS[compression](packed), packed, most_ratio), _UNPACKED_BYTES)


def _by_pyarrow(compression: str) -> Callable[[Any], Any]:
    def opened(file: Any) -> Any:
        import pyarrow  # loading it takes longer than most files

        return pyarrow.CompressedInputStream(pyarrow.PythonFile(file, "r"), compression)

    return opened


_READERS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),
    "bz2": bz2.BZ2File,
    "xz": lzma.LZMAFile,
    "zstd": _by_pyarrow("zstd"),
    "lz4": _by_pyarrow("lz4"),
}
