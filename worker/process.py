"""One worker process on one device: `python -m worker.process --device cpu --queues score,train`."""

import argparse
import os
import signal
from collections.abc import Sequence
from importlib.metadata import version

import structlog
from celery import Celery
from celery.apps import worker as celery_worker
from celery.signals import setup_logging, worker_ready, worker_shutting_down

from broker.app import QUEUES, make_app
from broker.settings import BrokerSettings
from db.schema import open_database
from worker import metrics
from worker.context import WorkerContext
from worker.devices.device import device_name
from worker.endpoint import serve_metrics
from worker.logs import log_to_stderr
from worker.models import LoadedModels
from worker.notifier import Notifier
from worker.settings import WorkerSettings
from worker.signs_of_life import SignsOfLife
from worker.stopping import Stopper
from worker.sweep import Sweeper
from worker.tasks import register_tasks

#: Two chunks at a time: one holds the device while the other is claimed, tokenized or written.
_CHUNKS_AT_A_TIME = 2

log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> None:
    """Work until SIGTERM: then the chunks in hand are given back at their next batch, and the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", help="The name of a worker.devices.Device.")
    parser.add_argument("--queues", default=",".join(QUEUES.values()))
    options = parser.parse_args(arguments)
    log_to_stderr()
    queues = options.queues.split(",")
    run(make_context(make_app(BrokerSettings().url), options.device), queues)


def make_context(app: Celery, device: str) -> WorkerContext:
    """The context of this process, from the settings in its environment."""
    settings = WorkerSettings()
    database = open_database()
    return WorkerContext(database, app, settings, LoadedModels(database, settings, device_name(device)))


def run(context: WorkerContext, queues: Sequence[str]) -> None:
    """Work on the chunks of those queues until told to stop; ends the process."""
    # Celery would set up logging of its own over ours.
    setup_logging.connect(_no_logging, weak=False)
    # Past all loggers it tells of its shutdown, which we do.
    celery_worker.safe_say = _no_words
    signs = SignsOfLife(context, queues)
    stopper = Stopper(context, signs)
    worker_shutting_down.connect(stopper.on_signal, weak=False)
    worker_ready.connect(_ignore_hang_ups, weak=False)
    register_tasks(context.app, context)
    kinds = [kind for kind, queue in QUEUES.items() if queue in queues]
    Sweeper(context.database, context.app, kinds, context.settings.sweep_s).start(context.stopping)
    secret = context.settings.signing_secret
    Notifier(context.database, context.owner, secret).start(context.stopping)
    _show_metrics(context, queues)
    signs.start()
    log.info("worker ready", action="worker_ready", owner=context.owner, queues=queues)
    worker = context.app.Worker(
        pool="threads",
        concurrency=_CHUNKS_AT_A_TIME,
        queues=queues,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    signs.end()
    log.info("worker stopped", action="worker_stopped", owner=context.owner)
    raise SystemExit(worker.exitcode)


def _show_metrics(context: WorkerContext, queues: Sequence[str]) -> None:
    metrics.WORKER.info({"device": context.models.device, "queues": ",".join(queues), "version": version("reviewmill")})
    metrics.CHUNKS_HELD.set_function(lambda: len(context.held))
    serve_metrics(context.settings, context.database)


def _ignore_hang_ups(**_: object) -> None:
    # Celery would start this process anew, with nobody above it: the kernel hangs up on a process that is suspended
    # when its supervisor is killed. That it is to stop then, another signal says: see broker.child.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _no_logging(**_: object) -> None:
    return


def _no_words(*_: object) -> None:
    return


if __name__ == "__main__":
    # Said aloud because the tokenizer turns its threads off where it suspects a fork; this process never forks.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
