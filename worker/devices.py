"""The devices of this machine that workers are pinned to."""

import shutil
import socket
import subprocess

from worker.errors import WorkerError


class UnknownDevice(WorkerError):
    """That is not a device: write auto, cpu, or GPU numbers such as 0,1."""


def find_devices(wanted: str) -> list[str]:
    """The devices for `--devices`: `auto` means every NVIDIA GPU, or the CPU where there is none.

    Each is `cpu` or a GPU's number. Raises UnknownDevice.
    """
    if wanted == "auto":
        return _gpus() or ["cpu"]
    devices = [device.strip() for device in wanted.split(",")]
    if not all(device == "cpu" or device.isdecimal() for device in devices):
        raise UnknownDevice(f"{wanted!r} names no devices: write auto, cpu, or GPU numbers such as 0,1")
    return devices


def device_name(device: str) -> str:
    """The name of a device of this machine among all machines, such as `cpu@host` or `gpu0@host`."""
    return f"{device if device == 'cpu' else 'gpu' + device}@{socket.gethostname()}"


def _gpus() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = subprocess.run(  # noqa: S603 (the driver's own program, no input of ours)
        [program, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    return listed.stdout.split() if listed.returncode == 0 else []
