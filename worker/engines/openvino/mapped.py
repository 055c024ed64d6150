"""Letting go of a weights file that OpenVINO has mapped into memory and will hardly read again."""

import ctypes
import mmap
import re
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_RANGE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s+(.*)")


def forget_pages(file: Path) -> None:
    """Take the file's pages out of this process's memory; what is read again comes from the system's cache.

    Compiling copies most weights into the CPU's own layout and leaves the file's pages behind, as large as the
    model. Only mappings that are read are touched: one that was written to would lose what is in it.
    """
    if not _MAPS.exists():
        return
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in _MAPS.read_text().splitlines():
        found = _RANGE.fullmatch(line)
        if found and found[4] == str(file.resolve()) and "w" not in found[3]:
            begin, end = int(found[1], 16), int(found[2], 16)
            # An error would only mean that the memory stays.
            madvise(begin, end - begin, mmap.MADV_DONTNEED)
