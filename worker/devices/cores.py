"""Dealing the CPU's cores out to processes, whole physical cores where that can be."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from worker.errors import WorkerError

_TOPOLOGY = Path("/sys/devices/system/cpu")


class TooManyProcesses(WorkerError):
    """There are fewer cores than processes."""


def split_cores(cores: Collection[int], processes: int, siblings: Mapping[int, Sequence[int]]) -> list[tuple[int, ...]]:
    """Deal the cores out, as evenly as can be, to so many processes; each gets neighbours.

    `siblings` are the threads of the physical core that each is one of; of those two processes never share one unless
    there are more processes than physical cores. Raises TooManyProcesses.
    """
    if processes > len(cores):
        raise TooManyProcesses(
            f"{processes} processes need as many cores, and this machine lets us use {len(cores)}; "
            f"--processes takes 1 to {len(cores)}"
        )
    physical = list(dict.fromkeys(tuple(one for one in siblings[core] if one in cores) for core in siblings))
    parts = [part for part in physical if part]
    if processes > len(parts):
        parts = [(core,) for part in parts for core in part]
    size, larger = divmod(len(parts), processes)
    starts = [at * size + min(at, larger) for at in range(processes + 1)]
    return [tuple(core for part in parts[start:end] for core in part) for start, end in pairwise(starts)]


def read_siblings(cores: Collection[int], topology: Path = _TOPOLOGY) -> dict[int, tuple[int, ...]]:
    """Of each core, in the order of sockets and numbers, the threads of its physical core.

    Where the kernel does not tell, each is one of its own.
    """
    order = sorted(cores, key=lambda core: (_read(topology, core, "physical_package_id", "0"), core))
    return {core: _numbers(_read(topology, core, "thread_siblings_list", str(core))) for core in order}


def _read(topology: Path, core: int, name: str, unknown: str) -> str:
    try:
        return (topology / f"cpu{core}" / "topology" / name).read_text().strip()
    except OSError:
        return unknown


def _numbers(written: str) -> tuple[int, ...]:
    """A list as the kernel writes it: `0-2,8`."""
    ranges = (part.partition("-") for part in written.split(","))
    return tuple(number for first, _, last in ranges for number in range(int(first), int(last or first) + 1))
