"""NVIDIA GPUs, found through NVML, which the driver brings: nothing of CUDA is loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from worker.devices.device import Device


class FoundGpus(NamedTuple):
    """The GPUs, in NVML's order, which is the PCI bus's. `trouble` says why one is missing, or all of them.

    `has_library` is false where there is no NVML, which comes with the driver.
    """

    gpus: list[Device]
    trouble: str = ""
    has_library: bool = True


def find_gpus() -> FoundGpus:
    """Ask NVML. Never raises: a machine without a driver has no GPUs."""
    import pynvml

    try:
        with _nvml(pynvml):
            return _ask(pynvml)
    except pynvml.NVMLError as error:
        has_library = not isinstance(error, pynvml.NVMLError_LibraryNotFound)
        return FoundGpus([], f"NVML says: {error}", has_library)


def _ask(pynvml: Any) -> FoundGpus:
    gpus, troubles = [], []
    for number in range(pynvml.nvmlDeviceGetCount()):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            uuid, model = pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        except pynvml.NVMLError as error:
            # A GPU that fell off the bus takes nothing from the others.
            troubles.append(f"NVML says of GPU {number}: {error}")
        else:
            gpus.append(Device(f"gpu{number}", uuid, model, memory_bytes=memory.total))
    return FoundGpus(gpus, "; ".join(troubles))


@contextmanager
def _nvml(pynvml: Any) -> Iterator[None]:
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()
