"""What every task of one worker process shares."""

import os
import socket
import threading
from dataclasses import dataclass, field

from celery import Celery

from db.database import Database
from worker.models import LoadedModels
from worker.settings import WorkerSettings


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(slots=True)
class WorkerContext:
    """One process: its database, doorbell, loaded models, and the one device it works on.

    `device` is held by whichever task infers or trains, so that the process can claim and tokenize
    the next chunk, and write the last one, while the device works. `stopping` is set on SIGTERM.
    """

    database: Database
    app: Celery
    settings: WorkerSettings
    models: LoadedModels
    owner: str = field(default_factory=_owner)
    device: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)
