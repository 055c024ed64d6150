"""What a report tells, read from the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import click
from sqlalchemy import Connection

from db.jobs import JobStatus, job_status
from db.registry import RegisteredModel
from db.reviews import StoredReview, load_reviews
from db.training import CurvePoint, count_examples, find_training, load_curve


class Mistake(NamedTuple):
    """A review that the model is wrong about: `right` and `predicted` are a label, labels, or a number."""

    review: StoredReview
    right: Any
    predicted: Any
    probability: float | None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A version, the job that made it, its examples by split, its curve, and the reviews it is most wrong about."""

    model: RegisteredModel
    job: JobStatus
    examples: dict[str, int]
    curve: Sequence[CurvePoint]
    mistakes: Sequence[Mistake]

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """What was found label by label; None where nothing was held out, or before versions were evaluated so."""
        return self.model.metrics.get("evaluation")


def gather(connection: Connection, model: RegisteredModel) -> ModelFacts:
    """Everything about a version. Raises ClickException for one that was not fine-tuned here."""
    job_id = find_training(connection, model.id)
    if job_id is None:
        raise click.ClickException(
            f"{model.reference} was not fine-tuned here, so there is no training to report on; "
            f"see `reviewmill models show {model.reference}`, or fine-tune it: "
            f"reviewmill finetune SOURCE --text COL --label COL --base {model.reference} --name NAME"
        )
    return ModelFacts(
        model,
        job_status(connection, job_id),
        count_examples(connection, job_id),
        load_curve(connection, job_id),
        _mistakes(connection, model.metrics.get("evaluation") or {}),
    )


def _mistakes(connection: Connection, evaluation: dict[str, Any]) -> list[Mistake]:
    found = evaluation.get("mistakes", [])
    reviews = load_reviews(connection, [one["review_id"] for one in found])
    # A review deleted meanwhile is left out.
    return [
        Mistake(reviews[one["review_id"]], one["right"], one["predicted"], one["probability"])
        for one in found
        if one["review_id"] in reviews
    ]
