"""Questions about predictions."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, String, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute

from db.dialect import review_ids_of_job
from db.errors import UnknownJob, UnknownLabel
from db.kept import Condition, check_kept, satisfies
from db.registry import get_model
from db.tables import Failure, Job, Model, Prediction, Review


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Which predictions are wanted; every field narrows.

    `min_probability` and `max_probability` bound the score of the label given. `uncertain` asks for
    the reviews whose answer is closest to tipping over, that many of them, closest first. `where` are conditions on the
    columns that are kept beside the reviews.
    """

    job_id: int | None = None
    model_id: int | None = None
    label: str | None = None
    min_probability: float | None = None
    max_probability: float | None = None
    since: datetime | None = None
    uncertain: int | None = None
    limit: int | None = None
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One prediction with its review, and the columns that are kept beside that, if any are."""

    review_id: int
    source: str
    external_id: str
    model: str
    label: str
    score: float
    margin: float | None
    probabilities: dict[str, float]
    tokens: int
    truncated: bool
    precision: str
    reading: str
    windows: int
    scored_at: datetime
    text: str
    text_pair: str | None
    metadata: dict[str, Any] | None


def find_results(connection: Connection, wanted: ResultFilter) -> Iterator[Result]:
    """The predictions that pass, streamed. Raises UnknownJob, UnknownLabel and UnknownColumn."""
    statement = result_statement(connection, wanted)
    found = connection.execution_options(yield_per=1_000).execute(statement)
    return (Result(*row) for row in found)


def result_statement(connection: Connection, wanted: ResultFilter) -> Select[Any]:
    """The select of the predictions that pass, in their order; its columns are the fields of Result, in theirs.

    Raises UnknownJob, UnknownLabel and UnknownColumn.
    """
    model_id = job_model_id(connection, wanted.job_id) if wanted.job_id is not None else wanted.model_id
    if wanted.label is not None:
        _check_label(connection, wanted.label, model_id)
    check_kept(connection, wanted.where)
    return _narrowed(_all_results(), connection, wanted, model_id)


def label_counts(connection: Connection, job_id: int) -> dict[str, int]:
    """How many of a job's reviews got each label, the most frequent first."""
    return _counts_by(connection, Prediction.label, job_id)


def reading_counts(connection: Connection, job_id: int) -> dict[str, int]:
    """How many of a job's reviews were read whole, and how many in each other way, the most frequent first."""
    return _counts_by(connection, Prediction.reading, job_id)


def _counts_by(connection: Connection, column: InstrumentedAttribute[str], job_id: int) -> dict[str, int]:
    reviews = review_ids_of_job(connection, job_id)
    count = func.count()
    found = connection.execute(
        select(column, count)
        .where(
            Prediction.model_id == job_model_id(connection, job_id),
            Prediction.review_id.in_(reviews),
        )
        .group_by(column)
        .order_by(count.desc(), column)
    )
    return dict(found.all())


def unscored_texts(connection: Connection, job_id: int) -> tuple[dict[int, str], dict[tuple[str, str | None], str]]:
    """Why a job has no result for some of its rows: by the row refused while reading, and by the text that failed."""
    found = connection.execute(
        select(Failure.row, Review.text, Review.text_pair, Failure.reason)
        .outerjoin(Review, Review.id == Failure.review_id)
        .where(Failure.job_id == job_id)
    ).all()
    refused = {one.row: one.reason for one in found if one.text is None}
    return refused, {(one.text, one.text_pair): one.reason for one in found if one.text is not None}


def _all_results() -> Select[Any]:
    return (
        select(
            Prediction.review_id,
            Review.source,
            Review.external_id,
            Model.name + "@" + cast(Model.version, String),
            Prediction.label,
            Prediction.score,
            Prediction.margin,
            Prediction.probabilities,
            Prediction.tokens,
            Prediction.truncated,
            Prediction.precision,
            Prediction.reading,
            Prediction.windows,
            Prediction.scored_at,
            Review.text,
            Review.text_pair,
            Review.extra,
        )
        .join(Review, Review.id == Prediction.review_id)
        .join(Model, Model.id == Prediction.model_id)
    )


def _narrowed(
    statement: Select[Any], connection: Connection, wanted: ResultFilter, model_id: int | None
) -> Select[Any]:
    conditions = [satisfies(connection, condition) for condition in wanted.where]
    if model_id is not None:
        conditions.append(Prediction.model_id == model_id)
    if wanted.job_id is not None:
        conditions.append(Prediction.review_id.in_(review_ids_of_job(connection, wanted.job_id)))
    if wanted.label is not None:
        conditions.append(Prediction.label == wanted.label)
    if wanted.min_probability is not None:
        conditions.append(Prediction.score >= wanted.min_probability)
    if wanted.max_probability is not None:
        conditions.append(Prediction.score <= wanted.max_probability)
    if wanted.since is not None:
        conditions.append(Prediction.scored_at >= wanted.since)
    if wanted.uncertain is not None:
        conditions.append(Prediction.margin.is_not(None))
        statement = statement.order_by(Prediction.margin, Prediction.review_id)
    else:
        statement = statement.order_by(Prediction.review_id, Prediction.model_id)
    limits = [limit for limit in (wanted.uncertain, wanted.limit) if limit is not None]
    return statement.where(*conditions).limit(min(limits, default=None))


def job_model_id(connection: Connection, job_id: int) -> int | None:
    """The model that a scoring job asks. Raises UnknownJob, for a fine-tuning job too."""
    job = connection.execute(select(Job.kind, Job.model_id).where(Job.id == job_id)).first()
    if job is None:
        raise UnknownJob(f"there is no job {job_id}")
    if job.kind != "score":
        raise UnknownJob(f"job {job_id} is a fine-tuning job: it has no results; score with its model")
    return job.model_id


def _check_label(connection: Connection, label: str, model_id: int | None) -> None:
    if model_id is not None:
        labels = set(get_model(connection, model_id).labels)
    else:
        labels = {known for labels in connection.scalars(select(Model.labels)) for known in labels}
    if label not in labels:
        raise UnknownLabel(f"no model here gives the label {label!r}; labels are: {', '.join(sorted(labels))}")
