"""A GPU, or a core that a process is pinned to, works for one process of this machine at a time.

Who holds it has bound a socket of that name in the kernel's abstract namespace, which all users of the machine share.
No file is left behind, and the name is free the moment the last process that inherited the socket is gone, however it
ended. Whole CPUs are shared: several workers may be told to use one.
"""

import errno
import socket
import sys
import time
from collections.abc import Callable

from worker.devices.device import Device
from worker.errors import WorkerError

#: A process whose supervisor was killed ends at its next batch; whoever comes after it waits for so long.
_PATIENCE_S = 10.0
_LOOK_S = 0.2


class DeviceTaken(WorkerError):
    """Another worker of this machine has the device."""


def hold_device(device: Device, on_wait: Callable[[], None]) -> list[socket.socket]:
    """Take the device; it is held for as long as any process has these sockets open.

    `on_wait` is called where another has it, who is waited for a little. Raises DeviceTaken.
    """
    names = [device.uuid] if device.is_gpu else [f"core-{core}" for core in device.cores]
    if (held := _take(names)) is not None:
        return held
    on_wait()
    deadline = time.monotonic() + _PATIENCE_S
    while (held := _take(names)) is None:
        if time.monotonic() > deadline:
            raise DeviceTaken(
                f"{device.name} is at work for another worker of this machine; `reviewmill workers` lists them, and "
                "--devices names others"
            )
        time.sleep(_LOOK_S)
    return held


def _take(names: list[str]) -> list[socket.socket] | None:
    """All of them, or None where somebody has one."""
    held: list[socket.socket] = []
    if sys.platform != "linux":
        return held
    for name in names:
        one = socket.socket(socket.AF_UNIX)
        held.append(one)
        try:
            one.bind(f"\0reviewmill-device-{name}")
        except OSError as error:
            for taken in held:
                taken.close()
            if error.errno != errno.EADDRINUSE:
                raise
            return None
    return held
