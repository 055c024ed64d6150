"""A machine with NVIDIA GPUs, as far as NVML goes: in every Python process that has this folder in its PYTHONPATH.

What is made up is the driver's library, behind the C functions that nvidia-ml-py calls; nvidia-ml-py itself is real.
FAKE_GPUS holds the GPUs, UUID=NAME each, with semicolons between them; one called `lost` has fallen off the bus. The
first has one GiB of memory, the second two.
FAKE_NVML_ERROR is a number that nvmlInit fails with, or `missing` for no library at all.
"""

import ctypes
import os
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_char_p, c_int, c_uint, c_ulonglong, c_void_p, memmove

_SUCCESS, _INVALID, _LOST, _TOO_SMALL = 0, 2, 15, 7
_GPUS = [entry.split("=", 1) for entry in os.environ.get("FAKE_GPUS", "").split(";") if entry]


def _init(_flags: int) -> int:
    return int(os.environ.get("FAKE_NVML_ERROR", _SUCCESS))


def _count(count: int) -> int:
    c_uint.from_address(count).value = len(_GPUS)
    return _SUCCESS


def _handle(index: int, handle: int) -> int:
    if index >= len(_GPUS):
        return _INVALID
    # Handles are pointers, and none is null.
    c_void_p.from_address(handle).value = index + 1
    return _LOST if _GPUS[index][1] == "lost" else _SUCCESS


def _teller(part: int) -> Callable[[int, int, int], int]:
    def tell(handle: int, place: int, size: int) -> int:
        said = _GPUS[handle - 1][part].encode() + b"\0"
        if len(said) > size:
            return _TOO_SMALL
        memmove(place, said, len(said))
        return _SUCCESS

    return tell


def _memory(handle: int, place: int) -> int:
    # total, free and used, as nvmlMemory_t has them.
    for at, value in enumerate((handle * 2**30, handle * 2**29, handle * 2**29)):
        c_ulonglong.from_address(place + 8 * at).value = value
    return _SUCCESS


class FakeNvml:
    """What CDLL gives for the library."""

    def __init__(self) -> None:
        told = CFUNCTYPE(c_int, c_void_p, c_void_p, c_uint)
        self.nvmlInitWithFlags = CFUNCTYPE(c_int, c_uint)(_init)
        self.nvmlShutdown = CFUNCTYPE(c_int)(lambda: _SUCCESS)
        self.nvmlDeviceGetCount_v2 = CFUNCTYPE(c_int, c_void_p)(_count)
        self.nvmlDeviceGetHandleByIndex_v2 = CFUNCTYPE(c_int, c_uint, c_void_p)(_handle)
        self.nvmlDeviceGetUUID = told(_teller(0))
        self.nvmlDeviceGetName = told(_teller(1))
        self.nvmlDeviceGetMemoryInfo = CFUNCTYPE(c_int, c_void_p, c_void_p)(_memory)
        self._words = c_char_p(b"what the driver says")
        self.nvmlErrorString = CFUNCTYPE(c_void_p, c_int)(lambda _error: ctypes.cast(self._words, c_void_p).value)


class _Loader(ctypes.CDLL):
    def __new__(cls, name: str | None = None, *_arguments: object, **_named: object) -> object:
        if name != "libnvidia-ml.so.1":
            return super().__new__(cls)
        if os.environ.get("FAKE_NVML_ERROR") == "missing":
            raise OSError("no such file")
        return FakeNvml()


ctypes.CDLL = _Loader  # type: ignore[misc]
