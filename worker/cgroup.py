"""What a container lets its processes have of this machine, as the kernel's control groups (version 2) tell it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOT, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Limits:
    """CPUs' worth of time, and bytes of memory and of these how many are free; None where nothing limits them."""

    cpus: float | None
    memory: int | None
    memory_free: int | None


def limits(root: Path = _ROOT, own: Path = _OWN) -> Limits:
    """The tightest limits of the groups that this process is in."""
    groups = list(_groups(root, own))
    memory = [(limit, limit - _number(group / "memory.current")) for group in groups if (limit := _limit(group))]
    return Limits(
        cpus=min((cpus for group in groups if (cpus := _cpus(group))), default=None),
        memory=min((limit for limit, _ in memory), default=None),
        memory_free=min((max(0, free) for _, free in memory), default=None),
    )


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """The process's own group, and those around it."""
    if not own.exists():
        return
    path = next((line[3:] for line in own.read_text().splitlines() if line.startswith("0::")), "/")
    group = root / path.lstrip("/")
    while group != root and group != group.parent:
        yield group
        group = group.parent
    yield root


def _cpus(group: Path) -> float | None:
    quota, _, period = _text(group / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() else None


def _limit(group: Path) -> int | None:
    return _number(group / "memory.max") or None


def _number(path: Path) -> int:
    said = _text(path)
    return int(said) if said.isdecimal() else 0


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
