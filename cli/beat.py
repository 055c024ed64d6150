"""`reviewmill beat`: the process beside the workers that keeps time."""

import os
import signal
import threading
from types import FrameType

import click

from broker.app import TASKS, make_app
from broker.errors import StackError
from broker.redis_server import check_redis
from broker.settings import BrokerSettings
from cli.output import notes
from db.schema import open_database
from worker.context import owner_of
from worker.logs import log_to_stderr
from worker.notifier import Notifier
from worker.settings import WorkerSettings
from worker.sweep import Sweeper


@click.command("beat")
def command() -> None:
    """Ring again for chunks whose message was lost, and tell of jobs that ended, until stopped.

    Every worker does the same beside its work; this one never naps.

    Needs a Redis: REVIEWMILL_REDIS_URL.
    """
    settings = BrokerSettings()
    if settings.is_embedded:
        raise StackError("REVIEWMILL_REDIS_URL is not set, and the embedded stack needs no beat of its own")
    check_redis(settings.url)
    worker, database = WorkerSettings(), open_database()
    sweeper = Sweeper(database, make_app(settings.url), list(TASKS), worker.sweep_s)
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log_to_stderr()
    notes.print("The beat goes on. Ctrl-C stops it.")
    Notifier(database, owner_of(os.getpid()), worker.notify_secret.get_secret_value()).start(stopping)
    sweeper.run(stopping)
