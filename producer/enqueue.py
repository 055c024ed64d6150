"""Enqueuing: the job is committed to SQL whole, and only then are the workers rung."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

from celery import Celery

from broker import tracing
from broker.doorbell import ring
from db.database import Database
from db.jobs import NewJob, create_job
from db.kept import KEPT_COLUMNS
from db.registry import RegisteredModel
from db.retry import Retried, retry_job
from db.rings import Ring
from db.schedule_runs import HeldRun, end_with_job
from db.tables import TRUNCATE
from producer.calibration import check_calibration
from producer.checkpoints import BaseCheckpoint
from producer.distillation import Distillation, student_labels
from producer.errors import TeacherError
from producer.failure_limit import FailureLimit
from producer.head import head_labels
from producer.incremental import leave_out_scored
from producer.intake import Intake, take_in
from producer.layers import check_layers
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Source
from producer.training_check import refuse_strangers
from producer.training_options import check_early_stopping, check_options
from producer.training_set import TrainingSources, read_training_set

#: Where a job's params tell the source of each split.
_SOURCE_PARAMS = {"train": "source", "validation": "validation_source", "test": "test_source"}


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to fine-tune.

    `max_length` is the most tokens of a review that training reads; None means the base's own limit, which is
    what scoring reads. `dropout` is the share of activations dropped in training, None the base's own.
    `validation_share` and `test_share` of the texts are held out, where they do not come from sources of their own.
    With `keep_head` the base's own head and labels are trained on. With `calibrate` a temperature is fitted on the
    validation texts, which the model's logits are divided by.

    With `class_weights` "balanced" every label counts for as much as any other in the loss, however rare it is; "none"
    takes the examples as they are. A step of training takes the examples of `accumulate` batches of `batch_size`.
    `layers` is how many of the base's encoder layers are kept, None all. With `freeze` the encoder stays as it is, and
    only the head is trained; with a `lora_rank` also adapters of that rank beside the encoder's query and value
    projections, which are merged into them at the end. With `early_stopping`, a metric on the validation texts,
    training stops when `patience` epochs in a row were no better than the best, whose weights are kept.
    """

    name: str
    epochs: int = 1
    batch_size: int = 16
    accumulate: int = 1
    learning_rate: float = 5e-5
    max_length: int | None = None
    dropout: float | None = None
    validation_share: float = 0.1
    test_share: float = 0.1
    seed: int = 0
    keep_head: bool = False
    calibrate: bool = False
    class_weights: str = "none"
    layers: int | None = None
    freeze: bool = False
    lora_rank: int | None = None
    early_stopping: str | None = None
    patience: int = 1


@dataclass(frozen=True, slots=True)
class Doorway:
    """Where jobs go in: the database, the doorbell and the limits.

    Without a doorbell nobody is told; the workers' sweep finds the job when a stack runs.
    """

    database: Database
    app: Celery | None
    settings: ProducerSettings

    def enqueue_scoring(self, source: Source, columns: Columns, model: RegisteredModel, **options: Any) -> int:
        """Enqueue the scoring of a source and return the job's id. Options and errors are those of preparing it."""
        return self.enqueue(self.prepare_scoring(source, columns, model, **options))

    def prepare_scoring(
        self,
        source: Source,
        columns: Columns,
        model: RegisteredModel,
        *,
        asked: str | None = None,
        priority: str = "normal",
        precision: str | None = None,
        long: str = TRUNCATE,
        limit: int | None = None,
        max_failures: FailureLimit | None = None,
        notify: str | None = None,
        scored_by: Collection[int] = (),
    ) -> NewJob:
        """Read a source to be scored; the job is not there before it is enqueued. Raises as `take_in` does.

        `asked` is the reference that the model was found by, to be kept. Without a precision, the setting of each
        worker decides. `long`, one of READINGS, is how texts beyond the model's limit are read. `notify` is told of the
        job's end; see `check_notify`. Reviews that a model version among `scored_by`, by id, has scored are left out,
        and counted as `skipped`.
        """
        intake = take_in(self.database, source, columns, self.settings, limit, max_failures)
        params = {"source": source.name, **named_columns(columns), "long": long}
        if precision is not None:
            params["precision"] = precision
        if scored_by:
            params["skipped"] = leave_out_scored(self.database, intake, scored_by, precision, long)
        return replace(self._scoring(intake, params, model, asked), priority=priority, notify=notify)

    def enqueue_taken(
        self, intake: Intake, params: Mapping[str, Any], model: RegisteredModel, *, asked: str | None = None
    ) -> int:
        """Enqueue the scoring of reviews that were taken in before, and return the job's id.

        The job is done by this version, wherever an alias that it was `asked` by moves meanwhile.
        """
        return self.enqueue(self._scoring(intake, params, model, asked))

    def enqueue_finetuning(
        self,
        source: Source,
        columns: Columns,
        base: BaseCheckpoint,
        plan: TrainingPlan,
        *,
        limit: int | None = None,
    ) -> int:
        """Enqueue the fine-tuning of a base on one source and return the job's id. Raises as preparing it does."""
        return self.enqueue(self.prepare_finetuning(TrainingSources(source), columns, base, plan, limit=limit))

    def prepare_finetuning(
        self,
        sources: TrainingSources,
        columns: Columns,
        base: BaseCheckpoint,
        plan: TrainingPlan,
        *,
        distillation: Distillation | None = None,
        limit: int | None = None,
        max_failures: FailureLimit | None = None,
    ) -> NewJob:
        """Read and check everything for the fine-tuning of a base; the job is not there before it is enqueued.

        With a distillation the base is its student, and the columns are those of `taught_columns`. `params["data"]`
        is the TrainingCheck. Raises as scoring does, LabelError, ExampleError, OptionError, ModelError, TeacherError
        and CalibrationError.
        """
        check_options(
            columns.problem_type,
            class_weights=plan.class_weights,
            has_teacher=distillation is not None,
            freeze=plan.freeze,
            lora_rank=plan.lora_rank,
            early_stopping=plan.early_stopping,
        )
        check_layers(base, plan.layers)
        shares = {"test": plan.test_share, "validation": plan.validation_share}
        data = read_training_set(self.database, sources, columns, self.settings, shares, plan.seed, limit, max_failures)
        labels = _labels(data.labels, base, columns, plan, distillation)
        for split, texts in data.splits.items():
            refuse_strangers(texts, columns, labels, split)
        held_out = sum(one.label is not None for one in data.splits.get("validation", ()))
        check_early_stopping(plan.early_stopping, held_out)
        if plan.calibrate:
            check_calibration(columns.problem_type, held_out)
        params = {
            **{_SOURCE_PARAMS[split]: source.name for split, source in sources.by_split().items()},
            "base": base.name,
            "base_directory": str(base.directory),
            "problem_type": columns.problem_type,
            "labels": labels,
            "steps": plan.epochs * ceil(len(data.splits["train"]) / (plan.batch_size * plan.accumulate)),
            "data": asdict(data.check),
            **asdict(plan),
            **({"teacher": distillation.as_params()} if distillation else {}),
            **named_columns(columns),
        }
        return NewJob("finetune", params, [data.review_ids], rejected=data.rejected, examples=data.examples())

    def retry(self, job_id: int) -> Retried:
        """Run again what failed of a job. Raises UnknownJob and JobCancelled."""
        with self.database.write() as connection:
            retried = retry_job(connection, job_id)
        self._ring(retried.rings)
        return retried

    def enqueue(self, new: NewJob, run: HeldRun | None = None) -> int:
        """Store a job whole, ring for it, and return its id.

        The run of a schedule that it is made by ends with it or not at all. Raises LeaseLost.
        """
        with tracing.enqueuing(kind=new.kind, priority=new.priority, model=new.params.get("model")):
            traced = replace(new, params={**new.params, **tracing.carried()})
            with self.database.write() as connection:
                job_id, chunk_ids = create_job(connection, traced)
                if run is not None:
                    end_with_job(connection, run, job_id, new.params.get("skipped", 0))
            tracing.note(job=job_id, chunks=len(chunk_ids))
            self._ring([Ring(chunk_id, new.kind, new.priority) for chunk_id in chunk_ids])
        return job_id

    def _scoring(self, intake: Intake, params: Mapping[str, Any], model: RegisteredModel, asked: str | None) -> NewJob:
        reference = {"model": model.reference} | ({"model_as_asked": asked} if asked is not None else {})
        return NewJob(
            kind="score",
            params={**params, **reference},
            chunks=intake.chunks(self.settings.chunk_size),
            model_id=model.id,
            rejected=intake.rejected,
        )

    def _ring(self, rings: Sequence[Ring]) -> None:
        if self.app is not None:
            ring(self.app, rings)


def _labels(
    found: Sequence[str], base: BaseCheckpoint, columns: Columns, plan: TrainingPlan, distillation: Distillation | None
) -> list[str]:
    if distillation is None:
        return head_labels(found, base, columns, plan.keep_head)
    if plan.keep_head:
        raise TeacherError("--keep-head and --teacher exclude each other: the labels are the teacher's")
    return student_labels(found, base, columns, distillation.teacher)


def named_columns(columns: Columns) -> dict[str, Any]:
    """The columns that were read, as a job keeps them."""
    named = {name: getattr(columns, name) for name in ("text", "id", "pair", "label")}
    told: dict[str, Any] = {f"{name}_column": column for name, column in named.items() if column is not None}
    several = {"indicator_columns": columns.indicators, KEPT_COLUMNS: columns.keep}
    return told | {name: list(found) for name, found in several.items() if found}
