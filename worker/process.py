"""One worker process on one device: `python -m worker.process --queues score,train`."""

import argparse
import os
from collections.abc import Sequence

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_shutting_down

from broker.app import QUEUES, make_app
from broker.settings import BrokerSettings
from db.schema import open_database
from worker.context import WorkerContext
from worker.logs import log_to_stderr
from worker.models import LoadedModels
from worker.settings import WorkerSettings
from worker.sweep import start_sweep
from worker.tasks import register_tasks

#: Two chunks at a time: one holds the device while the other is claimed, tokenized or written.
_CHUNKS_AT_A_TIME = 2

log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> None:
    """Work until SIGTERM: then the chunk in hand is given back at its next batch, and the process ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queues", default=",".join(QUEUES.values()))
    queues = parser.parse_args(arguments).queues.split(",")
    log_to_stderr()
    # Celery would set up logging of its own over ours.
    setup_logging.connect(lambda **_: None, weak=False)
    app = make_app(BrokerSettings().url)
    context = make_context(app)
    worker_shutting_down.connect(lambda **_: context.stopping.set(), weak=False)
    register_tasks(app, context)
    start_sweep(context, [kind for kind, queue in QUEUES.items() if queue in queues])
    log.info("worker ready", action="worker_ready", owner=context.owner, queues=queues)
    worker = app.Worker(
        pool="threads",
        concurrency=_CHUNKS_AT_A_TIME,
        queues=queues,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    log.info("worker stopped", action="worker_stopped", owner=context.owner)
    raise SystemExit(worker.exitcode)


def make_context(app: Celery) -> WorkerContext:
    """The context of this process, from the settings in its environment."""
    settings = WorkerSettings()
    database = open_database()
    return WorkerContext(database, app, settings, LoadedModels(database, settings.models_in_memory))


if __name__ == "__main__":
    # TensorFlow must not take threads that the tokenizer's own pool needs forked; we never fork.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    main()
