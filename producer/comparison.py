"""What two models are compared on: the reviews of a source, or those of a job."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from db.agreement import review_ids_in_order
from db.database import Database
from db.jobs import JobStatus, job_status
from db.registry import RegisteredModel
from db.tables import TRUNCATE
from producer.enqueue import Doorway, named_columns
from producer.errors import LabelError
from producer.intake import Intake, take_in
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Source

#: What a comparison keeps of the job whose reviews it is made on: how they were read, and the precision ordered.
_KEPT_PARAMS = ("source", "precision", "long", "text_column", "id_column", "pair_column")
#: Labels named in an error: enough to see what is wrong.
_SHOWN_LABELS = 5


@dataclass(frozen=True, slots=True)
class Compared:
    """Reviews taken in to be scored by two models.

    `labels` are the right ones that the source gave, by review id. `job` is the job whose reviews they are.
    """

    intake: Intake
    params: dict[str, Any]
    labels: dict[int, str] = field(default_factory=dict)
    job: JobStatus | None = None

    def scored_by(self, model: RegisteredModel, doorway: Doorway, asked: str | None = None) -> int:
        """The id of a job that scores them with the model: the job they are of, where it does that, or a new one.

        A new one keeps the reference that the model was `asked` for by.
        """
        if self.job is not None and self.job.kind == "score" and self.job.model_id == model.id:
            return self.job.id
        return doorway.enqueue_taken(self.intake, self.params, model, asked=asked)


def compared_of_source(
    database: Database,
    source: Source,
    columns: Columns,
    possible: Collection[str] | None,
    settings: ProducerSettings,
    limit: int | None = None,
    long: str = TRUNCATE,
) -> Compared:
    """Take in a source; rows without a label are compared too, and only not counted as right or wrong.

    `long`, one of READINGS, is how both models read texts beyond their limits.

    Raises SourceError and ColumnError, and LabelError where labels are given and none of them is `possible`; None is
    for any that may be.
    """
    intake = take_in(database, source, replace(columns, label=None), settings, limit)
    # Where labels are read a row without one is refused, so they are read on their own.
    labelled = take_in(database, source, columns, settings, limit) if columns.has_labels else Intake(source.name)
    labels = {one.review_id: one.label for one in labelled.labelled() if one.label is not None}
    if columns.label is not None and possible is not None and not set(possible).intersection(labels.values()):
        raise LabelError(
            f"none of the labels in {columns.label!r} ({_some(labels.values())}) is one that the models give; "
            f"those are: {_some(possible)}"
        )
    return Compared(intake, {"source": source.name, **named_columns(columns), "long": long}, labels)


def compared_of_job(database: Database, job_id: int) -> Compared:
    """The reviews of a job of either kind, as it read them. Raises UnknownJob."""
    with database.read() as connection:
        job = job_status(connection, job_id)
        ids = review_ids_in_order(connection, job_id)
    kept = {name: job.params[name] for name in _KEPT_PARAMS if name in job.params}
    return Compared(Intake(str(kept.get("source", "")), ids), kept, job=job)


def _some(labels: Collection[str]) -> str:
    names = sorted(set(labels))
    more = len(names) - _SHOWN_LABELS
    return (", ".join(names[:_SHOWN_LABELS]) + (f" and {more} more" if more > 0 else "")) or "there are none"
