"""A device that one worker process has for itself, and its names."""

import os
import re
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """`name` is gpu0, gpu1 ... in the order of the PCI bus; cpu; or cpu0, cpu1 ... where several share the cores.

    `cores` are those that the process is pinned to, by the kernel's numbers; none for all that this process may use.
    `memory_bytes` is a GPU's own memory.
    """

    name: str
    uuid: str = ""
    model: str = ""
    cores: tuple[int, ...] = ()
    memory_bytes: int = 0

    @property
    def is_gpu(self) -> bool:
        """Whether it is one."""
        return bool(self.uuid)

    def __str__(self) -> str:
        if self.is_gpu:
            return f"{self.name.removeprefix('gpu')} ({self.model}, {self.uuid})"
        return self.name


def device_name(device: str) -> str:
    """The name of a device of this machine among all machines, such as `cpu@host` or `gpu0@host`."""
    return f"{device}@{socket.gethostname()}"


def alike_name(device: str) -> str:
    """Under which name it is kept what a model takes on a device, given the device's name among all machines.

    That is one name for all processes with as many of this machine's cores, which are alike. To be asked in the
    process that is on the device.
    """
    named = re.fullmatch(r"cpu\d+@(.*)", device)
    return f"cpu-{len(os.sched_getaffinity(0))}-cores@{named[1]}" if named else device
