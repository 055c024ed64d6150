"""What a report is about: the predictions of one model version, all of them or those of one job's reviews."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Select, Table, insert, literal, select, text
from sqlalchemy.sql.selectable import Subquery

from db.checkpoint import MULTI_LABEL, REGRESSION
from db.dialect import json_numbers, review_ids_of_job, sought_by_other_means
from db.errors import UnknownJob, UnknownModel
from db.jobs import job_status
from db.registry import RegisteredModel, find_model, get_model
from db.tables import Id, Job, Prediction, Review

#: From here on a label counts as given, where each label stands for itself.
GIVEN = 0.5

#: A job names its reviews in its chunks; unfolded once, every question reads them from here.
_JOB_REVIEWS = Table(
    "report_reviews", MetaData(), Column("review_id", Id, primary_key=True, autoincrement=False), prefixes=["TEMPORARY"]
)


@dataclass(frozen=True, slots=True)
class ReportScope:
    """The model version whose predictions are told of, and the job if only its reviews are meant."""

    model: RegisteredModel
    job_id: int | None = None

    @property
    def gives_numbers(self) -> bool:
        """Whether the model tells a number rather than labels."""
        return self.model.problem_type == REGRESSION

    @property
    def gives_several(self) -> bool:
        """Whether a review may get any number of labels."""
        return self.model.problem_type == MULTI_LABEL


def scope_of_job(connection: Connection, job_id: int) -> ReportScope:
    """A job's reviews. Raises UnknownJob for one that is not there, or that trains."""
    job = job_status(connection, job_id)
    if job.kind != "score":
        hint = f"reviewmill models show {job.model} --report FILE" if job.model else "reviewmill models show M --report"
        raise UnknownJob(f"job {job_id} is a fine-tuning job: it has no results; its page is that of {hint}")
    assert job.model_id is not None
    return ReportScope(get_model(connection, job.model_id), job_id)


def scope_of_model(connection: Connection, reference: str | None) -> ReportScope:
    """All that a version said; without a reference, the version of the newest scoring job. Raises UnknownModel."""
    if reference is not None:
        return ReportScope(find_model(connection, reference))
    newest = select(Job.model_id).where(Job.kind == "score", Job.model_id.is_not(None)).order_by(Job.id.desc())
    model_id = connection.scalar(newest.limit(1))
    if model_id is None:
        raise UnknownModel("there is nothing to report on yet; score something: reviewmill score SOURCE --text COL")
    return ReportScope(get_model(connection, model_id))


@contextmanager
def in_scope(connection: Connection, scope: ReportScope) -> Iterator[None]:
    """Within it the other questions about this scope can be asked of this connection."""
    if scope.job_id is None:
        yield
        return
    _JOB_REVIEWS.create(connection)
    try:
        reviews = review_ids_of_job(connection, scope.job_id).distinct()
        connection.execute(insert(_JOB_REVIEWS).from_select(["review_id"], reviews))
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ANALYZE {_JOB_REVIEWS.name}"))
        yield
    finally:
        _JOB_REVIEWS.drop(connection)


def predictions(connection: Connection, scope: ReportScope, *columns: Any) -> Select[Any]:
    """Those columns of the scope's predictions."""
    if scope.job_id is None:
        return select(*columns).select_from(Prediction).where(Prediction.model_id == scope.model.id)
    # From the job's reviews to their predictions: there may be a thousand times as many of the model.
    wanted = sought_by_other_means(connection.dialect.name, _JOB_REVIEWS.c.review_id)
    model_id = sought_by_other_means(connection.dialect.name, Prediction.model_id)
    found = _JOB_REVIEWS.join(Prediction, Prediction.review_id == wanted)
    return select(*columns).select_from(found).where(model_id == scope.model.id)


def with_reviews(connection: Connection, said: Select[Any], review_id: Any) -> Select[Any]:
    """The same beside the reviews: they are looked up, and never what the database begins with."""
    return said.join(Review, Review.id == sought_by_other_means(connection.dialect.name, review_id))


def review_ids(scope: ReportScope) -> Select[Any]:
    """The ids of the scope's reviews, those of a job also where they have no prediction."""
    if scope.job_id is None:
        return select(Prediction.review_id).where(Prediction.model_id == scope.model.id)
    return select(_JOB_REVIEWS.c.review_id)


def answers(connection: Connection, scope: ReportScope, labels: Sequence[str] | None = None) -> Subquery:
    """What was said: the columns `review_id`, `label` and `value`, one row a review.

    Of a model that gives several labels, one row for each that it gives, or for each of the `labels`, given or not.
    """
    if not scope.gives_several:
        columns = (Prediction.review_id, Prediction.label, Prediction.score.label("value"))
        return predictions(connection, scope, *columns).subquery()
    each, name, number = json_numbers(connection, Prediction.probabilities)
    said = predictions(connection, scope, Prediction.review_id, name.label("label"), number.label("value"))
    said = said.join(each, literal(True))
    return said.where(number >= GIVEN if labels is None else name.in_(labels)).subquery()
