"""Enqueuing: the job is committed to SQL whole, and only then are the workers rung."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil

from celery import Celery

from broker.doorbell import ring
from db.database import Database
from db.jobs import LabelledReview, NewJob, create_job
from db.registry import RegisteredModel
from db.retry import Retried, retry_job
from db.rings import Ring
from producer.checkpoints import BaseCheckpoint
from producer.errors import LabelError
from producer.intake import Intake, take_in
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Source


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to fine-tune.

    `max_length` is the most tokens of a review that training reads; None means the base's own limit, which is
    what scoring reads. `dropout` is the share of activations dropped in training, None the base's own.
    `validation_share` of the texts are held out.
    """

    name: str
    epochs: int = 1
    batch_size: int = 16
    learning_rate: float = 5e-5
    max_length: int | None = None
    dropout: float | None = None
    validation_share: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Doorway:
    """Where jobs go in: the database, the doorbell and the limits.

    Without a doorbell nobody is told; the workers' sweep finds the job when a stack runs.
    """

    database: Database
    app: Celery | None
    settings: ProducerSettings

    def enqueue_scoring(
        self,
        source: Source,
        columns: Columns,
        model: RegisteredModel,
        *,
        asked: str | None = None,
        priority: str = "normal",
        precision: str | None = None,
        limit: int | None = None,
    ) -> int:
        """Enqueue the scoring of a source and return the job's id. Raises SourceError and ColumnError.

        `asked` is the reference that the model was found by, to be kept. Without a precision, the setting of each
        worker decides.
        """
        intake = take_in(self.database, source, columns, self.settings, limit)
        params = {"source": source.name, **named_columns(columns)}
        if precision is not None:
            params["precision"] = precision
        return self.enqueue_taken(intake, params, model, asked=asked, priority=priority)

    def enqueue_taken(
        self,
        intake: Intake,
        params: Mapping[str, str],
        model: RegisteredModel,
        *,
        asked: str | None = None,
        priority: str = "normal",
    ) -> int:
        """Enqueue the scoring of reviews that were taken in before, and return the job's id.

        The job is done by this version, wherever an alias that it was `asked` by moves meanwhile.
        """
        reference = {"model": model.reference} | ({"model_as_asked": asked} if asked is not None else {})
        return self._enqueue(
            NewJob(
                kind="score",
                params={**params, **reference},
                chunks=intake.chunks(self.settings.chunk_size),
                model_id=model.id,
                priority=priority,
                rejected=intake.rejected,
            )
        )

    def enqueue_finetuning(
        self,
        source: Source,
        columns: Columns,
        base: BaseCheckpoint,
        plan: TrainingPlan,
        *,
        limit: int | None = None,
    ) -> int:
        """Enqueue the fine-tuning of a base and return the job's id. Raises as scoring does, and LabelError."""
        intake = take_in(self.database, source, columns, self.settings, limit)
        examples = intake.examples(plan.validation_share)
        labels = _labels(examples, base)
        steps = plan.epochs * ceil(_training_count(examples) / plan.batch_size)
        params = {
            "source": source.name,
            "base": base.name,
            "base_directory": str(base.directory),
            "labels": labels,
            "steps": steps,
            **asdict(plan),
            **named_columns(columns),
        }
        chunks = [intake.review_ids]
        return self._enqueue(NewJob("finetune", params, chunks, rejected=intake.rejected, examples=examples))

    def retry(self, job_id: int) -> Retried:
        """Run again what failed of a job. Raises UnknownJob and JobCancelled."""
        with self.database.write() as connection:
            retried = retry_job(connection, job_id)
        self._ring(retried.rings)
        return retried

    def _enqueue(self, new: NewJob) -> int:
        with self.database.write() as connection:
            job_id, chunk_ids = create_job(connection, new)
        self._ring([Ring(chunk_id, new.kind, new.priority) for chunk_id in chunk_ids])
        return job_id

    def _ring(self, rings: Sequence[Ring]) -> None:
        if self.app is not None:
            ring(self.app, rings)


def named_columns(columns: Columns) -> dict[str, str]:
    """The columns that were read, as a job keeps them."""
    return {f"{name}_column": column for name, column in asdict(columns).items() if column is not None}


def _training_count(examples: list[LabelledReview]) -> int:
    return sum(example.split == "train" for example in examples)


def _labels(examples: list[LabelledReview], base: BaseCheckpoint) -> list[str]:
    """The labels to train, in the base's own order where they are its own: its head is then kept."""
    counts = Counter(example.label for example in examples if example.split == "train")
    if len(counts) < 2:
        found = f"only {next(iter(counts))!r}" if counts else "none"
        raise LabelError(f"training needs at least two labels, and the source has {found} to train on")
    own = base.facts.labels
    return list(own) if own and set(own) == set(counts) else sorted(counts)
