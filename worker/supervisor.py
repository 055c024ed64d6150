"""The parent of the device processes: starts one a device and replaces one that dies."""

import os
import signal
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
from worker.errors import NoPortLeft
from worker.owners import owner_of
from worker.settings import LAST_PORT, WorkerSettings

#: A process that dies at once is not started again at once; one that lived this long starts afresh.
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0
_HEALTHY_AFTER_S = 30.0
_LOOK_S = 0.2
#: glibc's variable for the freed bytes that it keeps at the end of a heap, and its own first value, which then stays.
_TRIM_THRESHOLD, _KEPT_BYTES = "MALLOC_TRIM_THRESHOLD_", 128 * 1024
#: What runs on a device; `--device` and `--queues` follow.
PROCESS = [sys.executable, "-m", "worker.process"]

log = structlog.get_logger()


@dataclass(slots=True)
class _Slot:
    """One device and the process on it."""

    device: str
    environment: Mapping[str, str]
    metrics_port: int = 0
    process: Popen[bytes] | None = None
    started_at: float = 0.0
    pause_s: float = field(default=_FIRST_PAUSE_S)
    start_after: float = 0.0


def supervise(database: Database, devices: Sequence[str], queues: Sequence[str]) -> int:
    """Keep one worker process a device alive until SIGTERM or SIGINT; return the exit code 0.

    What a process held that died is freed at once, not when its leases run out. A second signal kills the
    processes instead of waiting for their batches.
    """
    signals: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    slots = [
        _Slot(device, device_environment(device), port)
        for device, port in zip(devices, metrics_ports(len(devices)), strict=True)
    ]
    while not signals:
        for slot in slots:
            _keep_alive(slot, queues, database)
        time.sleep(_LOOK_S)
    _stop([slot.process for slot in slots if slot.process is not None], signals)
    return 0


def _stop(processes: Sequence[Popen[bytes]], signals: Sequence[int]) -> None:
    for process in processes:
        process.terminate()
    while any(process.poll() is None for process in processes):
        if len(signals) > 1:
            for process in processes:
                process.kill()
        time.sleep(_LOOK_S)


def device_environment(device: str) -> dict[str, str]:
    """What a process must find in its environment before anything of it is loaded.

    To see its own device only, and to give memory back that a batch needed: glibc otherwise keeps what was freed, for
    good, once large blocks were. A threshold that somebody has set stays.
    """
    threshold = os.environ.get(_TRIM_THRESHOLD, str(_KEPT_BYTES))
    return {"CUDA_VISIBLE_DEVICES": "-1" if device == "cpu" else device, _TRIM_THRESHOLD: threshold}


def metrics_ports(processes: int) -> list[int]:
    """The port of each process for its metrics, the same again after a restart; 0 where none is wanted."""
    first = WorkerSettings().metrics_port
    if first + processes - 1 > LAST_PORT:
        raise NoPortLeft(f"REVIEWMILL_METRICS_PORT={first} leaves too few ports for {processes} processes")
    return [first + number if first else 0 for number in range(processes)]


def _keep_alive(slot: _Slot, queues: Sequence[str], database: Database) -> None:
    now = time.monotonic()
    if slot.process is None:
        if now >= slot.start_after:
            _start(slot, queues)
    elif (code := slot.process.poll()) is not None:
        lived_s = now - slot.started_at
        slot.pause_s = _FIRST_PAUSE_S if lived_s > _HEALTHY_AFTER_S else min(slot.pause_s * 2, _LONGEST_PAUSE_S)
        log.error("worker died", action="worker_died", device=slot.device, exit_code=code, restart_in_s=slot.pause_s)
        _free_leases(database, slot.process.pid)
        slot.process, slot.start_after = None, now + slot.pause_s


def _free_leases(database: Database, pid: int) -> None:
    try:
        with database.write() as connection:
            freed = release_dead(connection, owner_of(pid))
    except DatabaseError as error:
        log.warning("leases not freed", action="leases_not_freed", reason=str(error))
    else:
        log.info("leases freed", action="leases_freed", chunks=freed)


def _start(slot: _Slot, queues: Sequence[str]) -> None:
    command = [*PROCESS, "--device", slot.device, "--queues", ",".join(queues)]
    environment = {**slot.environment, "REVIEWMILL_METRICS_PORT": str(slot.metrics_port)}
    slot.process = start_child(command, None, environment, own_group=True)
    slot.started_at = time.monotonic()
    log.info("worker started", action="worker_started", device=slot.device, pid=slot.process.pid)
