"""The parent of the device processes: starts one a device and replaces one that dies."""

import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from subprocess import Popen
from types import FrameType

import structlog

from broker.child import start_child
from db.claims import release_dead
from db.database import Database
from db.errors import DatabaseError
from db.workers import remove_worker
from worker.devices.choose import Placement
from worker.devices.device import Device
from worker.devices.exclusive import hold_device
from worker.errors import NoPortLeft
from worker.owners import owner_of
from worker.settings import LAST_PORT, WorkerSettings

#: A process that dies at once is not started again at once; one that lived this long starts afresh.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0
_HEALTHY_AFTER_S = 30.0
_LOOK_S = 0.2
#: glibc's variables, in bytes, which it would raise by itself to what it has seen at most: how much freed memory it
#: keeps at the end of a heap, what it asks the kernel for by itself, and by how much a heap grows at least. What a
#: chunk needs for a moment is kept for the next, what a model needs while it is loaded is given back.
_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": 4 * 2**20,
    "MALLOC_MMAP_THRESHOLD_": 2**20,
    "MALLOC_TOP_PAD_": 2**20,
}
#: How many threads tokenizers (Rust's rayon) and numpy's libraries start.
_THREADS = ("RAYON_NUM_THREADS", "OMP_NUM_THREADS")
#: What runs on a device; `--device` and `--queues` follow.
PROCESS = [sys.executable, "-m", "worker.process"]

log = structlog.get_logger()


@dataclass(slots=True)
class _Slot:
    """One device, which is held for as long as this process lives, and the process on it."""

    placement: Placement
    held: Sequence[socket.socket]
    environment: Mapping[str, str]
    metrics_port: int = 0
    process: Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = field(default=_FIRST_PAUSE_S)
    start_after: float = 0.0

    @property
    def device(self) -> Device:
        """That of its process."""
        return self.placement.device


def supervise(database: Database, placements: Sequence[Placement]) -> int:
    """Keep one worker process a device alive until SIGTERM or SIGINT; return the exit code 0.

    One that dies is replaced on its own device, and what it held is freed at once, not when its leases run out. A
    second signal kills the processes instead of waiting for their batches. Raises DeviceTaken where another worker of
    this machine has one of the devices.
    """
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    ports = metrics_ports(len(placements))
    slots = [_slot(*each) for each in zip(placements, ports, strict=True)]
    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    while not signals:
        for slot in slots:
            _keep_alive(slot, database)
        time.sleep(_LOOK_S)
    _stop([slot.process for slot in slots if slot.process is not None], signals)
    return 0


def _slot(placement: Placement, metrics_port: int) -> _Slot:
    device = placement.device

    def say() -> None:
        log.warning("another worker has the device", action="device_awaited", device=device.name)

    return _Slot(placement, hold_device(device, say), device_environment(device), metrics_port)


def _stop(processes: Sequence[Popen[bytes]], signals: Sequence[int]) -> None:
    for process in processes:
        process.terminate()
    while any(process.poll() is None for process in processes):
        if len(signals) > 1:
            for process in processes:
                process.kill()
        time.sleep(_LOOK_S)


def device_environment(device: Device) -> dict[str, str]:
    """What a process must find in its environment before anything of it is loaded.

    To see its own device only, to use as many threads as it has cores, and to give memory back that is needed no
    longer: glibc otherwise keeps what was freed, for good, once large blocks were. What somebody has set stays.
    """
    environment = {name: os.environ.get(name, str(bytes_)) for name, bytes_ in _MEMORY.items()}
    # By its UUID, for CUDA may number GPUs otherwise than NVML does; and by the numbers of NVML all the same, for who
    # looks at them.
    environment |= {"CUDA_VISIBLE_DEVICES": device.uuid or "-1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    # Engines count the cores that they may use; these libraries are told, whatever a person has set for them.
    return environment | ({name: str(len(device.cores)) for name in _THREADS} if device.cores else {})


def metrics_ports(processes: int) -> list[int]:
    """The port of each process for its metrics, the same again after a restart; 0 where none is wanted."""
    first = WorkerSettings().metrics_port
    if first + processes - 1 > LAST_PORT:
        raise NoPortLeft(f"REVIEWMILL_METRICS_PORT={first} leaves too few ports for {processes} processes")
    return [first + number if first else 0 for number in range(processes)]


def _keep_alive(slot: _Slot, database: Database) -> None:
    now = time.monotonic()
    if slot.process is None:
        if now >= slot.start_after:
            _start(slot)
    elif (code := slot.process.poll()) is not None:
        lived_s = now - slot.started_at
        slot.pause_s = _FIRST_PAUSE_S if lived_s > _HEALTHY_AFTER_S else min(slot.pause_s * 2, _LONGEST_PAUSE_S)
        about = {"device": slot.device.name, "exit_code": code, "restart_in_s": slot.pause_s}
        log.error("worker died", action="worker_died", **about)
        _free_leases(database, slot.process.pid)
        slot.process, slot.start_after = None, now + slot.pause_s


def _free_leases(database: Database, pid: int) -> None:
    try:
        with database.write() as connection:
            freed = release_dead(connection, owner_of(pid))
            remove_worker(connection, owner_of(pid))
    except DatabaseError as error:
        log.warning("leases not freed", action="leases_not_freed", reason=str(error))
    else:
        log.info("leases freed", action="leases_freed", chunks=freed)


def _start(slot: _Slot) -> None:
    device, queues = slot.device, ",".join(slot.placement.queues)
    slot.process = start_child(
        [*PROCESS, "--device", device.name, "--queues", queues],
        None,
        {**slot.environment, "REVIEWMILL_METRICS_PORT": str(slot.metrics_port)},
        own_group=True,
        cores=device.cores,
        # Held by both: should this process be killed, the device is free when the child has ended too.
        inherited=[one.fileno() for one in slot.held],
    )
    slot.started_at = time.monotonic()
    about = {"device": device.name, "cores": list(device.cores), "queues": queues, "pid": slot.process.pid}
    told = {"metrics_port": slot.metrics_port} if slot.metrics_port else {}
    log.info("worker started", action="worker_started", **about, **told)
