"""Questions about predictions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Select, String, and_, cast, func, select

from db.firsts import first_of_each
from db.job_counts import LABEL, READING, counts_of
from db.registry import find_model
from db.result_filters import ResultFilter, job_model_id, on_predictions, on_reviews, resolved
from db.result_order import Place, cursor_after, field_of, ordered, results_before
from db.tables import Failure, Model, Prediction, Review


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


class Page:
    """The first `limit` of the predictions that pass, streamed, and where the next page begins.

    `next` is, once they are read to their end, the cursor of those that follow, and None where none do. Reading raises
    what result_statement does.
    """

    def __init__(self, connection: Connection, wanted: ResultFilter, limit: int) -> None:
        # One more than wanted tells whether others follow.
        self._results = find_results(connection, replace(wanted, limit=limit + 1))
        self._connection, self._wanted, self._limit = connection, wanted, limit
        self.next: str | None = None

    def __iter__(self) -> Iterator[Result]:
        last = None
        for last in islice(self._results, self._limit):
            yield last
        if last is not None and next(self._results, None) is not None:
            self.next = _cursor_after(self._connection, self._wanted, last, self._limit)


def find_results(connection: Connection, wanted: ResultFilter) -> Iterator[Result]:
    """The predictions that pass, streamed. Raises what result_statement does."""
    statement = result_statement(connection, wanted)
    found = connection.execution_options(yield_per=1_000).execute(statement)
    return (Result(*row) for row in found)


def result_statement(connection: Connection, wanted: ResultFilter) -> Select[Any]:
    """The select of the predictions that pass, in their order; its columns are the fields of Result, in theirs.

    Raises UnknownJob, UnknownModel, UnknownLabel, UnknownColumn, UnknownSource, NotComparable, BadFilter and BadCursor
    for what can not be asked.
    """
    wanted = resolved(connection, wanted)
    conditions = on_predictions(connection, wanted, page=wanted.is_page_of_an_index)
    conditions += on_reviews(connection, wanted)
    firsts = first_of_each(connection, wanted, conditions)
    if firsts is None:
        return ordered(connection, _all_results().where(*conditions), wanted)
    is_first = Prediction.review_id == firsts.c.review_id, Prediction.model_id == firsts.c.model_id
    return ordered(connection, _all_results().join(firsts, and_(*is_first)), wanted)


def count_results(connection: Connection, wanted: ResultFilter) -> int:
    """How many predictions pass. Raises what result_statement does."""
    wanted = resolved(connection, wanted)
    of_reviews = on_reviews(connection, wanted)
    counting = select(func.count()).select_from(Prediction)
    if of_reviews:
        counting = counting.join(Review, Review.id == Prediction.review_id)
    return connection.scalar(counting.where(*on_predictions(connection, wanted), *of_reviews)) or 0


def _cursor_after(connection: Connection, wanted: ResultFilter, last: Result, number: int) -> str:
    wanted, model = resolved(connection, wanted), find_model(connection, last.model)
    field = field_of(wanted)
    value = None if field is None else getattr(last, field)
    return cursor_after(wanted, Place(value, last.review_id, model.id, results_before(wanted) + number))


def label_counts(connection: Connection, job_id: int) -> dict[str, int]:
    """How many of a job's rows got each label, the most frequent first; see JobCount. Raises UnknownJob."""
    job_model_id(connection, job_id)
    return counts_of(connection, job_id, LABEL)


def reading_counts(connection: Connection, job_id: int) -> dict[str, int]:
    """How many of a job's rows were read whole, and how many in each other way. Raises UnknownJob."""
    job_model_id(connection, job_id)
    return counts_of(connection, job_id, READING)


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
