"""Which predictions are wanted: what a person may ask for, whether it can be had, and its conditions in SQL."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, not_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from db.agreement import check_comparable
from db.bounds import Bound, check_bounds, within
from db.checkpoint import MULTI_LABEL, REGRESSION
from db.dialect import contains, json_number, sought_by_other_means
from db.errors import BadFilter, NotComparable, UnknownJob, UnknownLabel, UnknownSource
from db.job_reviews import is_of_job
from db.kept import Condition, check_kept, satisfies
from db.registry import RegisteredModel, get_model
from db.tables import Job, Model, Prediction, Review

#: Predictions with a label that take longer to sort than to meet the first of in order of id.
_MANY = 5_000
#: Sources named to one who asks for one that is not there.
_SOURCES_NAMED = 10


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """Which predictions are wanted; every field narrows but `sort` and `after`.

    `job_id` takes what the job's model says of its reviews, or what `model_id` says of them if that is given too.
    `min_probability` and `max_probability` bound the score, which is the probability of the label that is given or,
    without one, of the top label; `probabilities` bound that of any label. `text` are words of which each must stand in
    the review or its pair, and `where` are conditions on the columns that are kept beside it. `since` counts with,
    `until` does not. `disagree` are the ids of two models whose predictions of one review differ: both are wanted.
    `current` leaves out texts that have changed since.

    `uncertain` asks for the predictions that are closest to tipping over, that many of them, closest first. `sort` is
    one of db.result_order.SORTS, and `after` the cursor that the page before ended with.
    """

    job_id: int | None = None
    model_id: int | None = None
    label: str | None = None
    min_probability: float | None = None
    max_probability: float | None = None
    probabilities: tuple[Bound, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: tuple[str, ...] = ()
    source: str | None = None
    where: tuple[Condition, ...] = ()
    disagree: tuple[int, int] | None = None
    current: bool = False
    uncertain: int | None = None
    sort: str | None = None
    limit: int | None = None
    after: str | None = None

    @property
    def order(self) -> str:
        """What it is sorted by: one of db.result_order.SORTS."""
        return self.sort or ("id" if self.uncertain is None else "margin")

    @property
    def is_by_margin(self) -> bool:
        """Whether only predictions that have a margin can be sorted so."""
        return self.order.removeprefix("-") == "margin"

    @property
    def is_by_id(self) -> bool:
        """Whether it is sorted by the ids alone."""
        return self.order.removeprefix("-") == "id"

    @property
    def is_page_of_an_index(self) -> bool:
        """Whether the first are wanted of what an index has in their order, and nothing narrows that it lacks.

        Texts that have changed since are few, and passed over one by one.
        """
        by_score = self.order.removeprefix("-") == "score" and self.label is not None
        is_bounded = self.min_probability is not None or self.max_probability is not None
        by_id = self.is_by_id and (self.label is not None or not is_bounded)
        others = self.text, self.where, self.source, self.probabilities, self.disagree, self.since, self.until
        is_few = self.limit is not None or self.uncertain is not None
        return is_few and not any(others) and (by_score or by_id or self.is_by_margin)


def resolved(connection: Connection, wanted: ResultFilter) -> ResultFilter:
    """The filter with the one model filled in whose predictions can pass, if only one's can.

    With it an index serves. Raises UnknownJob, UnknownModel, UnknownLabel, UnknownColumn, UnknownSource, NotComparable
    and BadFilter for what can not be asked.
    """
    _check_ranges(wanted)
    if wanted.job_id is not None:
        of_job = job_model_id(connection, wanted.job_id)
        if wanted.model_id is None and wanted.disagree is None:
            wanted = replace(wanted, model_id=of_job)
    if wanted.disagree is not None:
        _check_disagreeing(connection, wanted.disagree, wanted.model_id)
    check_kept(connection, wanted.where)
    _check_source(connection, wanted.source)
    models = _models_asked(connection, wanted)
    wanted = _with_known_labels(wanted, models)
    able = [model.id for model in models if _can_pass(wanted, model)]
    if wanted.model_id is not None and wanted.is_by_margin and not able:
        raise BadFilter("that model predicts numbers, which have no margin: none is more certain than another")
    return replace(wanted, model_id=able[0]) if len(able) == 1 else wanted


def able_models(connection: Connection, wanted: ResultFilter) -> list[int]:
    """The ids of the models whose predictions can pass a resolved filter."""
    return [model.id for model in _models_asked(connection, wanted) if _can_pass(wanted, model)]


def on_predictions(connection: Connection, wanted: ResultFilter, page: bool = False) -> list[ColumnElement[bool]]:
    """The conditions of a resolved filter on the columns of `predictions` alone; `page` is as in is_of_job."""
    conditions = [within(connection, bound) for bound in wanted.probabilities]
    goes_by_id = _goes_by_id(connection, wanted)
    if wanted.model_id is not None:
        conditions.append(_column(connection, Prediction.model_id, goes_by_id) == wanted.model_id)
    if wanted.job_id is not None:
        conditions.append(is_of_job(connection, wanted.job_id, page))
    if wanted.label is not None:
        # The index on the margin is in the order that is wanted; the label's is not.
        has_order = goes_by_id or wanted.is_by_margin
        conditions.append(_column(connection, Prediction.label, has_order) == wanted.label)
    if wanted.is_by_margin:
        conditions.append(Prediction.margin.is_not(None))
    if wanted.disagree is not None:
        conditions.append(_differ(connection, wanted.disagree))
    return conditions + _in_ranges(wanted)


def _in_ranges(wanted: ResultFilter) -> list[ColumnElement[bool]]:
    times = ((operator.ge, wanted.since), (operator.lt, wanted.until))
    scored = [compare(Prediction.scored_at, value) for compare, value in times if value is not None]
    return _by_score(wanted) + scored


def _by_score(wanted: ResultFilter) -> list[ColumnElement[bool]]:
    bounds = ((operator.ge, wanted.min_probability), (operator.le, wanted.max_probability))
    return [compare(Prediction.score, value) for compare, value in bounds if value is not None]


def on_reviews(connection: Connection, wanted: ResultFilter) -> list[ColumnElement[bool]]:
    """The conditions of a resolved filter on the columns of `reviews`; none where these need not be read."""
    conditions = [satisfies(connection, condition) for condition in wanted.where]
    for words in wanted.text:
        conditions.append(or_(*(contains(connection, text, words) for text in (Review.text, Review.text_pair))))
    if wanted.source is not None:
        conditions.append(Review.source == wanted.source)
    if wanted.current:
        newer = aliased(Review)
        replacing = newer.source == Review.source, newer.external_id == Review.external_id, newer.id > Review.id
        conditions.append(~select(newer.id).where(*replacing).exists())
    return conditions


def job_model_id(connection: Connection, job_id: int) -> int | None:
    """The id of the model that a scoring job asks. Raises UnknownJob, also for a job of another kind."""
    job = connection.execute(select(Job.kind, Job.model_id).where(Job.id == job_id)).first()
    if job is None:
        newest = connection.scalar(select(func.max(Job.id)))
        known = f"the newest is {newest}" if newest else "there are no jobs yet"
        raise UnknownJob(f"there is no job {job_id}; {known}")
    if job.kind != "score":
        raise UnknownJob(f"job {job_id} is a fine-tuning job: it has no results; score with its model")
    return job.model_id


def _column(connection: Connection, column: InstrumentedAttribute[Any], by_other_means: bool) -> ColumnElement[Any]:
    return sought_by_other_means(connection.dialect.name, column) if by_other_means else column.expression


def _goes_by_id(connection: Connection, wanted: ResultFilter) -> bool:
    """Whether the primary key, which has the order, is the way to a page: SQLite has to be told.

    By the index on model and label all that pass had to be sorted first, which is better only where they are few.
    """
    if wanted.label is None or wanted.model_id is None or not wanted.is_by_id:
        return wanted.is_by_id
    if wanted.limit is None or connection.dialect.name != "sqlite":
        return False
    of_label = Prediction.model_id == wanted.model_id, Prediction.label == wanted.label, *_by_score(wanted)
    passing = select(Prediction.score).where(*of_label).limit(_MANY).subquery()
    return connection.scalar(select(func.count()).select_from(passing)) == _MANY


def _differ(connection: Connection, models: tuple[int, int]) -> ColumnElement[bool]:
    """Whether a prediction is of one of the models, and the other's of the same review differs."""
    first, second = (get_model(connection, model_id) for model_id in models)
    other = aliased(Prediction)
    counterpart = case((Prediction.model_id == first.id, second.id), else_=first.id)
    differing = select(other.review_id).where(
        other.review_id == Prediction.review_id,
        other.model_id == counterpart,
        _say_otherwise(connection, first, other),
    )
    return and_(sought_by_other_means(connection.dialect.name, Prediction.model_id).in_(models), differing.exists())


def _say_otherwise(connection: Connection, model: RegisteredModel, other: Any) -> ColumnElement[bool]:
    if model.problem_type != MULTI_LABEL:
        return other.label != Prediction.label
    # The labels that fit are those of at least one half, as for `models diff`.
    fits = [
        [json_number(connection, one.probabilities, label) >= 0.5 for one in (Prediction, other)]
        for label in model.labels
    ]
    return or_(*(or_(and_(here, not_(there)), and_(there, not_(here))) for here, there in fits))


def _check_ranges(wanted: ResultFilter) -> None:
    low, high = wanted.min_probability, wanted.max_probability
    if low is not None and high is not None and low > high:
        raise BadFilter(f"no probability is at least {low:g} and at most {high:g}")
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise BadFilter("nothing was scored since a time and before it: the time to begin with is not the earlier one")
    if not all(words.strip() for words in wanted.text):
        raise BadFilter("the text to look for is empty")
    if wanted.uncertain is not None and wanted.order != "margin":
        raise BadFilter(f"the least certain come first, and can not be sorted by {wanted.order}")
    check_bounds(wanted.probabilities)


def _check_disagreeing(connection: Connection, models: tuple[int, int], model_id: int | None) -> None:
    first, second = (get_model(connection, one) for one in models)
    check_comparable(first, second)
    if first.problem_type == REGRESSION:
        raise NotComparable(f"{first.reference} and {second.reference} predict numbers, which hardly ever are the same")
    if model_id is not None and model_id not in models:
        raise BadFilter(
            f"{get_model(connection, model_id).reference} is neither {first.reference} nor {second.reference}, "
            "which are to disagree"
        )


def _check_source(connection: Connection, source: str | None) -> None:
    if source is None or connection.scalar(select(Review.id).where(Review.source == source).limit(1)) is not None:
        return
    known: list[str] = []
    # From one to the next along the index: to list all different ones would read every review.
    while len(known) <= _SOURCES_NAMED:
        following = [Review.source > known[-1]] if known else []
        name = connection.scalar(select(func.min(Review.source)).where(*following))
        if name is None:
            break
        known.append(name)
    named = ", ".join(map(repr, known[:_SOURCES_NAMED])) + (", ..." if len(known) > _SOURCES_NAMED else "")
    raise UnknownSource(f"no review is of the source {source!r}; sources are: {named or 'none'}")


def _models_asked(connection: Connection, wanted: ResultFilter) -> Sequence[Row[Any]]:
    asked = select(Model.id, Model.labels, Model.problem_type).order_by(Model.id)
    if wanted.model_id is not None:
        asked = asked.where(Model.id == wanted.model_id)
    elif wanted.disagree is not None:
        asked = asked.where(Model.id.in_(wanted.disagree))
    return connection.execute(asked).all()


def _with_known_labels(wanted: ResultFilter, models: Sequence[Row[Any]]) -> ResultFilter:
    """The filter, its bounds without the spaces that people write around a comparison. Raises UnknownLabel."""
    known = {label for model in models for label in model.labels}
    bounds = tuple(
        bound if bound.label in known else replace(bound, label=bound.label.strip()) for bound in wanted.probabilities
    )
    for label in (wanted.label, *(bound.label for bound in bounds)):
        if label is not None and label not in known:
            raise UnknownLabel(f"no model here gives the label {label!r}; labels are: {_named(known)}")
    return replace(wanted, probabilities=bounds)


def _named(labels: set[str]) -> str:
    return ", ".join(sorted(labels)) or "none, for there is no model yet"


def _can_pass(wanted: ResultFilter, model: Row[Any]) -> bool:
    """Whether predictions of a model can pass, by its labels and by what it predicts."""
    labels = {bound.label for bound in wanted.probabilities} | ({wanted.label} - {None})
    return labels <= set(model.labels) and not (wanted.is_by_margin and model.problem_type == REGRESSION)
