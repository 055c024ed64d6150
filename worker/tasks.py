"""The Celery tasks: what a message makes a worker do."""

from celery import Celery

from broker.app import TASKS
from db.claims import Claim
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.lease import Heartbeat
from worker.scoring import score_chunk


def register_tasks(app: Celery, context: WorkerContext) -> None:
    """Tie the messages of both queues to their work. A message carries a chunk's id and nothing else."""

    @app.task(name=TASKS["score"])
    def score(chunk_id: int) -> None:
        run_chunk(context, chunk_id, score_chunk)

    @app.task(name=TASKS["finetune"])
    def train(chunk_id: int) -> None:
        run_chunk(context, chunk_id, _finetune)


def _finetune(context: WorkerContext, claim: Claim, heartbeat: Heartbeat) -> None:
    # Imported at the first training job: TensorFlow takes seconds and hundreds of megabytes.
    from worker.training.finetune import finetune

    finetune(context, claim, heartbeat)
