"""What two models say of the reviews of one job, and what is known of the right answers."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.orm import aliased

from db.answers import labels_at_one_half
from db.checkpoint import MULTI_LABEL
from db.comparison import Answers
from db.dialect import review_ids_of_job, sought_by_other_means
from db.errors import NotComparable
from db.registry import RegisteredModel
from db.tables import Chunk, Example, Job, Model, Prediction, Review


def check_comparable(first: RegisteredModel, second: RegisteredModel) -> None:
    """Raise NotComparable for one version twice, and for models that do not choose among the same labels."""
    if first.id == second.id:
        raise NotComparable(f"both models are {first.reference}; name two versions")
    if first.problem_type != second.problem_type:
        raise NotComparable(
            f"{first.reference} and {second.reference} cannot be compared: "
            f"one is of {first.problem_type}, the other of {second.problem_type}"
        )
    if set(first.labels) != set(second.labels):
        raise NotComparable(
            f"{first.reference} and {second.reference} cannot be compared: their labels are "
            f"{', '.join(sorted(first.labels))} and {', '.join(sorted(second.labels))}"
        )


def review_ids_in_order(connection: Connection, job_id: int) -> array:
    """The ids of the reviews of a job of any kind, one a row read, in the order of the source."""
    ids = array("q")
    for of_chunk in connection.scalars(select(Chunk.review_ids).where(Chunk.job_id == job_id).order_by(Chunk.position)):
        ids.extend(of_chunk)
    return ids


def answers_of_both(
    connection: Connection, job_id: int, first_model: RegisteredModel, second_model: RegisteredModel
) -> Iterator[Answers]:
    """What the two models say of each review of the job that both have scored, in order of review id.

    A multi-label model says every label that it gives at least one half, joined as in `examples`.
    """
    answer = _fitting_labels if first_model.problem_type == MULTI_LABEL else _top_label
    first, second = aliased(Prediction), aliased(Prediction)
    found = connection.execute(
        select(first.review_id, first.label, first.probabilities, second.label, second.probabilities)
        .join(second, second.review_id == first.review_id)
        .where(
            sought_by_other_means(connection.dialect.name, first.model_id) == first_model.id,
            sought_by_other_means(connection.dialect.name, second.model_id) == second_model.id,
            first.review_id.in_(review_ids_of_job(connection, job_id)),
        )
        .order_by(first.review_id),
        execution_options={"yield_per": 1_000},
    )
    for review_id, label, values, other_label, other_values in found:
        answers = answer(label, values), answer(other_label, other_values)
        yield Answers(review_id, *answers, values[label], other_values[label])


def labels_from_examples(connection: Connection, job_id: int, possible: Sequence[str] | None) -> dict[int, str]:
    """The labels that fine-tuning jobs were given for the texts of this job's reviews; of several the newest job's.

    Only those that are `possible`: texts may have been labelled for another question too. None takes all.
    """
    labelled = aliased(Review)
    wanted = [Review.id.in_(review_ids_of_job(connection, job_id))]
    if possible is not None:
        wanted.append(Example.label.in_(possible))
    found = connection.execute(
        select(Review.id, Example.label)
        .join(labelled, labelled.text_hash == Review.text_hash)
        .join(Example, Example.review_id == labelled.id)
        .where(*wanted)
        .order_by(Example.job_id, Example.review_id)
    )
    return {review_id: label for review_id, label in found if label is not None}


def trained_on(connection: Connection, job_id: int, model_ids: Sequence[int]) -> set[int]:
    """Which reviews of the job have a text that a model, or one it started or learned from, was trained on.

    How it does on those tells nothing.
    """
    learned = learned_texts(connection, model_ids)
    mine = Review.id.in_(review_ids_of_job(connection, job_id))
    return set(connection.scalars(select(Review.id).where(mine, Review.text_hash.in_(learned))))


def learned_texts(connection: Connection, model_ids: Sequence[int]) -> Select[Any]:
    """The hashes of the texts that a model, or one it started or learned from, was trained on."""
    return (
        select(Review.text_hash)
        .join(Example, Example.review_id == Review.id)
        .join(Job, Job.id == Example.job_id)
        .where(Job.kind == "finetune", Job.model_id.in_(_lineage(connection, model_ids)), Example.split == "train")
    )


def _lineage(connection: Connection, model_ids: Sequence[int]) -> set[int]:
    """The models, and those of the registry that their training started from or was taught by, and so on."""
    found, new = set[int](), set(model_ids)
    while new:
        found |= new
        told = connection.scalars(select(Model.provenance).where(Model.id.in_(new)))
        parents = [digest for one in told for digest in (one.get("base_digest"), one.get("teacher", {}).get("digest"))]
        new = set(connection.scalars(select(Model.id).where(Model.digest.in_(parents)))) - found
    return found


def _top_label(label: str, _probabilities: Mapping[str, float]) -> str:
    return label


def _fitting_labels(_label: str, probabilities: Mapping[str, float]) -> str:
    return labels_at_one_half(probabilities)


def computing_s(connection: Connection, job_id: int) -> float:
    """For how many seconds devices computed for the job, the loading of the model not counted."""
    return connection.scalar(select(func.coalesce(func.sum(Chunk.device_s), 0.0)).where(Chunk.job_id == job_id)) or 0.0
