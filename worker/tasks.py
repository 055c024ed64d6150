"""The Celery tasks: what a message makes a worker do."""

from collections.abc import Mapping, Sequence

import structlog
from celery import Celery

from broker.app import TASKS
from db.claims import Claim
from worker.chunks import Work, run_chunk
from worker.context import WorkerContext
from worker.lease import Heartbeat
from worker.scoring import score_chunks

#: The largest number that fits a key of both databases.
_LARGEST_ID = 2**63 - 1
#: How much of a strange message is logged.
_SHOWN_CHARS = 200

log = structlog.get_logger()


def register_tasks(app: Celery, context: WorkerContext) -> None:
    """Tie the messages of both queues to their work. A message carries a chunk's id and nothing else."""

    @app.task(name=TASKS["score"])
    def score(*arguments: object, **named: object) -> None:
        _run(context, arguments, named, score_chunks)

    @app.task(name=TASKS["finetune"])
    def train(*arguments: object, **named: object) -> None:
        _run(context, arguments, named, _finetune)


def _run(context: WorkerContext, arguments: Sequence[object], named: Mapping[str, object], work: Work) -> None:
    match arguments:
        case [int(chunk_id)] if not named and 0 < chunk_id <= _LARGEST_ID:
            run_chunk(context, chunk_id, work)
        case _:
            # Anybody who reaches Redis can write into its lists.
            log.warning("not a message of ours", action="message_refused", arguments=repr(arguments)[:_SHOWN_CHARS])


def _finetune(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
    # Imported at the first training job: TensorFlow takes seconds and hundreds of megabytes.
    from worker.training.finetune import finetune

    finetune(context, claims, heartbeat)
