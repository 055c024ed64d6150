"""Which devices work, and for which queues: what `--devices`, `--processes` and `--queues` say."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from broker.app import QUEUES
from worker.devices.cores import read_siblings, split_cores
from worker.devices.device import Device
from worker.devices.gpus import find_gpus
from worker.errors import WorkerError

_AUTO, _CPU = "auto", "cpu"
#: CUDA's own variable: a machine's administrator, or a batch system, says with it which GPUs are ours.
_VISIBLE = "CUDA_VISIBLE_DEVICES"


class UnknownDevice(WorkerError):
    """That is not a device of this machine."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A process to be: its device, which is its own, and the queues that it serves."""

    device: Device
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """What is here. `trouble` says why there are no GPUs, or fewer; `has_library` whether some could be expected."""

    gpus: list[Device]
    cpus: list[Device]
    trouble: str = ""
    has_library: bool = False

    @classmethod
    def here(cls, processes: int = 1) -> "Machine":
        """This one, its cores dealt out to so many processes. Raises TooManyProcesses."""
        found = find_gpus()
        return cls(found.gpus, _cpus(processes), found.trouble, found.has_library)

    def place(self, wanted: str, queues: Sequence[str] = tuple(QUEUES.values())) -> list[Placement]:
        """The processes for what `--devices` says: devices by commas, each perhaps with queues of its own.

        As in `0,1`, `0:score,1:train`, `auto:score,cpu:train` and `cpu:score+train`. Raises UnknownDevice.
        """
        placements: list[Placement] = []
        for entry in wanted.split(","):
            word, colon, named = (part.strip() for part in entry.partition(":"))
            own = _queues(named, entry.strip()) if colon else tuple(queues)
            placements += [Placement(device, own) for device in self._devices(word)]
        if len(self.cpus) > 1 and all(one.device.is_gpu for one in placements):
            raise UnknownDevice(f"--processes deals out the CPU's cores, and {wanted!r} is without it here")
        for name, count in Counter(one.device.name for one in placements).items():
            if count > 1:
                raise UnknownDevice(f"{wanted!r} names {name} {count} times; no two processes share a device")
        return placements

    def _devices(self, word: str) -> list[Device]:
        if word == _AUTO:
            return self._visible() or self.cpus
        if word == _CPU:
            return self.cpus
        found = self._named(word)
        if len(found) > 1:
            raise UnknownDevice(f"{word!r} may be {' or '.join(map(str, found))}; write more of it")
        if not found:
            raise UnknownDevice(f"{word!r} is no device of this machine; {self._what_there_is()}")
        return found

    def _named(self, word: str) -> list[Device]:
        name = f"gpu{int(word)}" if word.isascii() and word.isdecimal() else word
        is_uuid = word.upper().startswith("GPU-")
        return [
            device
            for device in (*self.gpus, *self.cpus)
            if device.name == name or (is_uuid and device.uuid.upper().startswith(word.upper()))
        ]

    def _visible(self) -> list[Device]:
        """The GPUs that the environment leaves us; all where it says nothing."""
        said = os.environ.get(_VISIBLE)
        if said is None:
            return self.gpus
        visible: list[Device] = []
        for word in (one.strip() for one in said.split(",")):
            found = self._named(word)
            # As CUDA reads it: what follows one that is not there does not count.
            if len(found) != 1 or not found[0].is_gpu:
                break
            visible += found
        return visible

    def _what_there_is(self) -> str:
        shares = self.cpus if len(self.cpus) > 1 else []
        words = [_AUTO, _CPU, *map(str, (*shares, *self.gpus))]
        return f"there are {', '.join(words)}{f'; {self.trouble}' if self.trouble else ''}"


def find_devices(wanted: str, processes: int = 1) -> list[Device]:
    """The devices for `--devices` and `--processes`. Raises UnknownDevice and TooManyProcesses."""
    return [one.device for one in Machine.here(processes).place(wanted)]


def _cpus(processes: int) -> list[Device]:
    if processes == 1:
        return [Device(_CPU)]
    cores = os.sched_getaffinity(0)
    shares = split_cores(cores, processes, read_siblings(cores))
    return [Device(f"{_CPU}{number}", cores=share) for number, share in enumerate(shares)]


def _queues(named: str, entry: str) -> tuple[str, ...]:
    queues = tuple(dict.fromkeys(queue.strip() for queue in named.split("+")))
    if not set(queues) <= set(QUEUES.values()):
        raise UnknownDevice(f"{entry!r} names no queues; write DEVICE:{'+'.join(QUEUES.values())}, or one of them")
    return queues
