"""How much memory a worker process may use: of its GPU, or of the machine and the control groups that it runs in."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from worker.devices.gpus import find_gpus

_MEMINFO = Path("/proc/meminfo")
_OWN_CGROUPS = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def memory_of(device: str) -> int:
    """Bytes that a process on a device of worker.devices.device_name may use.

    Of a GPU all of its memory. On a CPU the machine's, or less where a control group (a container's limit) says so;
    a process that is pinned to a part of its parent's cores, as several beside each other are, has that part of it.
    """
    if device.startswith("gpu") and (found := _gpu_memory(os.environ.get("CUDA_VISIBLE_DEVICES", ""))):
        return found
    return int(min(_machine_memory(_MEMINFO), *cgroup_limits(_OWN_CGROUPS, _CGROUPS)) * _share_of_cores())


def cgroup_limits(own: Path, root: Path) -> Iterator[int]:
    """The memory limits, in bytes, of the groups that the file `own` names and of all above them.

    `root` is where the kernel shows the groups, of version 2, or each controller's of version 1.
    """
    for line in own.read_text().splitlines() if own.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _limits_up(root, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_up(root / "memory", path, "memory.limit_in_bytes")


def _limits_up(root: Path, path: str, name: str) -> Iterator[int]:
    # A container may be told its path as the host has it, and sees its own group at the root.
    place = root / path.lstrip("/")
    for group in (place, *place.parents):
        limit = (group / name).read_text().strip() if (group / name).is_file() else ""
        if limit.isdecimal():
            yield int(limit)
        if group == root:
            return


def _machine_memory(meminfo: Path) -> int:
    found = re.search(r"^MemTotal:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE) if meminfo.is_file() else None
    return int(found[1]) * 1024 if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _share_of_cores() -> float:
    own = os.sched_getaffinity(0)
    try:
        parents = os.sched_getaffinity(os.getppid())
    except OSError:
        return 1.0
    return min(1.0, len(own) / len(parents))


def _gpu_memory(uuid: str) -> int:
    """Of the GPU with that UUID, 0 where NVML does not tell."""
    return next((gpu.memory_bytes for gpu in find_gpus().gpus if gpu.uuid == uuid), 0)
