"""What this machine has to compute with: processors, what a container leaves of them, memory."""

import os
from collections.abc import Iterator
from pathlib import Path

from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.patient import Patient
from worker.cgroup import Limits, limits
from worker.cpu import cpu_flags, cpu_kind
from worker.devices.choose import Machine
from worker.errors import WorkerError

_VNNI = {"avx512_vnni", "avx_vnni", "asimddp"}
_MEMINFO = Path("/proc/meminfo")
#: A worker with a base-sized model takes about as much; a training some more.
_ENOUGH_BYTES, _TOO_LITTLE_BYTES = 2_000_000_000, 500_000_000


def check_devices(patient: Patient) -> Iterator[Finding]:
    """Which devices the settings mean, and what the processor can."""
    try:
        machine = Machine.here(patient.worker.processes)
        if machine.has_library and machine.trouble:
            mend = (
                "nvidia-smi tells more; the driver and its library must be of one version, which a restart brings about"
            )
            yield warning("devices", f"GPUs are missing: {machine.trouble}", mend)
        placements = machine.place(patient.worker.devices)
    except WorkerError as error:
        yield wrong("devices", str(error), "set REVIEWMILL_DEVICES to auto, or to devices of this machine")
    else:
        told = (f"{one.device} for {' and '.join(one.queues)}" for one in placements)
        yield ok("devices", f"workers here run on {', '.join(told)}")
    yield from cpu_findings(limits(), _own_cores(), os.cpu_count() or 1)


def cpu_findings(limited: Limits, own_cores: int, cores: int) -> Iterator[Finding]:
    """The processor, and how much of it is left to us: `own_cores` by affinity, of `cores` there are."""
    speed = "8-bit products are fast on it" if cpu_flags() & _VNNI else "without VNNI, int8 gains little on it"
    yield ok("devices", f"CPU {cpu_kind()}, {own_cores} of {cores} cores ours; {speed}")
    if limited.cpus is not None and limited.cpus < own_cores:
        yield warning(
            "devices",
            f"a container's quota leaves {limited.cpus:g} CPUs' time, but {own_cores} cores are in sight: "
            "the threads of engines are stopped in turn, and wait for one another",
            "give it whole cores instead of a share of all (docker run --cpuset-cpus), or the time of all in sight",
        )


def check_memory(_patient: Patient) -> Iterator[Finding]:
    """How much memory is left, on the machine or in the container."""
    yield from memory_findings(limits(), _available())


def memory_findings(limited: Limits, available: int | None) -> Iterator[Finding]:
    """Whether a worker has room in the `available` bytes of the machine, and in the container's."""
    rooms = [room for room in (available, limited.memory_free) if room is not None]
    if not rooms:
        yield ok("memory", "this system does not tell how much is free")
        return
    free = min(rooms)
    told = f"{free / 1e9:,.1f} GB are free"
    if free >= _ENOUGH_BYTES:
        yield ok("memory", told)
        return
    say = wrong if free < _TOO_LITTLE_BYTES else warning
    mend = "end what else runs here, lower REVIEWMILL_MODEL_MEMORY and REVIEWMILL_TOKEN_BUDGET, or raise the limit"
    say_what = f"only {told}; a worker with a model of base size takes about 2 GB"
    yield say("memory", say_what, mend)


def _own_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _available() -> int | None:
    if not _MEMINFO.exists():
        return None
    lines = (line.split() for line in _MEMINFO.read_text().splitlines())
    return next((int(parts[1]) * 1024 for parts in lines if parts[0] == "MemAvailable:"), None)
