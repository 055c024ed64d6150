"""What fine-tuning reads and writes: its examples, and the points of its curve."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.jobs import FINAL_STATES
from db.tables import Example, Job, Review, TrainingMetric

#: What is measured on the validation examples at an epoch's end, and can stop a training early, by problem type.
STOPPING_METRICS = {
    SINGLE_LABEL: ("loss", "accuracy", "macro_f1"),
    MULTI_LABEL: ("loss", "accuracy", "macro_f1"),
    REGRESSION: ("loss", "mae"),
}
#: How their names begin in the curve.
VALIDATION_PREFIX = "val_"


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a metric was after a step."""

    step: int
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """A text (or pair of texts) with its label as `examples` keeps it, None where it has none."""

    review_id: int
    text: str
    pair: str | None
    label: str | None


def load_examples(connection: Connection, job_id: int, split: str) -> list[TrainingExample]:
    """The job's examples of one split, `train`, `validation` or `test`, in order of review id."""
    found = connection.execute(
        select(Review.id, Review.text, Review.text_pair, Example.label)
        .join(Review, Review.id == Example.review_id)
        .where(Example.job_id == job_id, Example.split == split)
        .order_by(Example.review_id)
    )
    return [TrainingExample(*row) for row in found]


def example_ids(connection: Connection, job_id: int) -> list[int]:
    """The ids of the reviews that are the job's examples, in order."""
    return list(
        connection.scalars(select(Example.review_id).where(Example.job_id == job_id).order_by(Example.review_id))
    )


def count_examples(connection: Connection, job_id: int, *, labelled: bool = False) -> dict[str, int]:
    """How many examples the job has in each split that has any; of the `labelled` ones only, if that is asked."""
    counted = func.count(Example.label) if labelled else func.count()
    found = connection.execute(select(Example.split, counted).where(Example.job_id == job_id).group_by(Example.split))
    return {split: count for split, count in found if count}


def store_metrics(connection: Connection, job_id: int, epoch: int, step: int, values: Mapping[str, float]) -> None:
    """Add points to the job's curve, as they happen."""
    rows = [
        {"job_id": job_id, "epoch": epoch, "step": step, "name": name, "value": float(value)}
        for name, value in values.items()
    ]
    connection.execute(insert(TrainingMetric), rows)


def forget_metrics(connection: Connection, job_id: int, after_step: int) -> None:
    """Drop the points of the job's curve that lie beyond the step from which it is trained again (0: all).

    An epoch that ends with that very step is validated again.
    """
    is_validation = TrainingMetric.name.startswith(VALIDATION_PREFIX, autoescape=True)
    is_again = or_(TrainingMetric.step > after_step, and_(TrainingMetric.step == after_step, is_validation))
    connection.execute(delete(TrainingMetric).where(TrainingMetric.job_id == job_id, is_again))


def latest_metrics(connection: Connection, job_id: int) -> dict[str, float]:
    """The newest value of every metric, and `step` and `epoch`, of a job; empty before the first."""
    found = connection.execute(
        select(TrainingMetric.name, TrainingMetric.value, TrainingMetric.step, TrainingMetric.epoch)
        .where(TrainingMetric.job_id == job_id)
        .order_by(TrainingMetric.step, TrainingMetric.id)
    )
    latest: dict[str, float] = {}
    for name, value, step, epoch in found:
        latest |= {name: value, "step": step, "epoch": epoch}
    return latest


def latest_step(connection: Connection, job_id: int) -> int:
    """The newest step of which a job has told a metric; 0 before the first."""
    return connection.scalar(select(func.max(TrainingMetric.step)).where(TrainingMetric.job_id == job_id)) or 0


def load_curve(connection: Connection, job_id: int) -> list[CurvePoint]:
    """Every point of the job's curve, in order of its steps."""
    found = connection.execute(
        select(TrainingMetric.step, TrainingMetric.name, TrainingMetric.value)
        .where(TrainingMetric.job_id == job_id)
        .order_by(TrainingMetric.step, TrainingMetric.id)
    )
    return [CurvePoint(*row) for row in found]


def find_training(connection: Connection, model_id: int) -> int | None:
    """The fine-tuning job that made the model version: the first, where others came to the same weights."""
    return connection.scalar(select(func.min(Job.id)).where(Job.kind == "finetune", Job.model_id == model_id))


def set_trained_model(connection: Connection, job_id: int, model_id: int) -> None:
    """Link a fine-tuning job to the model version it made."""
    connection.execute(update(Job).where(Job.id == job_id).values(model_id=model_id))


def bases_in_use(connection: Connection) -> set[str]:
    """Where the bases of trainings lie that are not over, as `models.path` would tell it."""
    going_on = select(Job.params).where(Job.kind == "finetune", Job.state.not_in(FINAL_STATES))
    return {str(params.get("base_directory")) for params in connection.scalars(going_on)}


def trainings_over(connection: Connection, name: str, job_ids: Collection[int]) -> set[int]:
    """Which of these jobs trained a model of that name and are over."""
    found = connection.execute(
        select(Job.id, Job.params).where(Job.id.in_(job_ids), Job.kind == "finetune", Job.state.in_(FINAL_STATES))
    )
    return {job_id for job_id, params in found if params.get("name") == name}
