"""Telling everybody, through SQL, that this worker process is alive, and what it does."""

import os
import socket
import threading
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version

import structlog

from db.errors import DatabaseError
from db.workers import SignOfLife, register_worker, remove_worker, renew_worker
from worker.context import WorkerContext
from worker.engines.choose import CPU, choose_engine
from worker.engines.cpu.variants import variant_named
from worker.models import InMemory

#: A dozen signs before a process is called dead.
_EVERY_S = 5.0

log = structlog.get_logger()


class SignsOfLife:
    """Writes this process's row of the table `workers` every few seconds, in a thread, until `end`.

    It never hurts the work: where the database is away, or anything else goes wrong, the next sign says it all.
    """

    def __init__(self, context: WorkerContext, queues: Sequence[str]) -> None:
        self._context = context
        self._queues = list(queues)
        self._started_at: datetime | None = None
        self._ended = threading.Event()
        self._writing = threading.Lock()

    def start(self) -> None:
        """Tell it from now on, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="signs-of-life", daemon=True).start()

    def end(self) -> None:
        """Tell that this process works no more."""
        self._ended.set()
        # After this nobody writes the row again.
        with self._writing:
            try:
                with self._context.database.write() as connection:
                    remove_worker(connection, self._context.owner)
            except DatabaseError as error:
                log.warning("the worker's row is left", action="worker_not_removed", reason=str(error))

    def _run(self) -> None:
        while not self._ended.is_set():
            self._tell_safely()
            self._ended.wait(_EVERY_S)

    def _tell_safely(self) -> None:
        try:
            with self._writing:
                if not self._ended.is_set():
                    self._tell()
        except Exception as error:
            log.warning("no sign of life", action="sign_failed", reason=f"{type(error).__name__}: {error}")

    def _tell(self) -> None:
        sign = sign_of(self._context, self._queues)
        with self._context.database.write() as connection:
            if self._started_at is None:
                started_at = register_worker(connection, sign)
            else:
                renew_worker(connection, sign, started_at := self._started_at)
        # Only once it is committed.
        self._started_at = started_at


def sign_of(context: WorkerContext, queues: Sequence[str]) -> SignOfLife:
    """What this process has to tell of itself now."""
    loaded = context.models.in_memory()[::-1]
    return SignOfLife(
        owner=context.owner,
        host=socket.gethostname(),
        pid=os.getpid(),
        device=context.models.device,
        queues=list(queues),
        engine=_engine(context, loaded),
        models=[{"model": one.reference, "precision": one.precision, "bytes": one.bytes} for one in loaded],
        version=version("reviewmill"),
        reviews_per_s=round(context.reviews.per_s(), 2),
        busy=round(context.device.busy(), 3),
    )


def _engine(context: WorkerContext, loaded: Sequence[InMemory]) -> str:
    """The engine's name; on a CPU, where each precision has its own, those of the models, or the setting's word."""
    name = choose_engine(context.settings.engine, context.models.device)
    if name != CPU:
        return name
    return ", ".join(sorted({variant_named(one.precision).runtime for one in loaded})) or context.settings.engine
