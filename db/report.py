"""What a report counts. Every answer is an aggregate of the database's, as small for ten million reviews as for ten.

The questions are asked within `in_scope`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, func, or_, select
from sqlalchemy.sql.selectable import Subquery

from db.dialect import json_text, whole
from db.report_scope import ReportScope, answers, predictions, with_reviews
from db.tables import Prediction, Review

#: Below this margin a model is called undecided.
UNDECIDED_MARGIN = 0.2
#: Values on an edge belong to the bucket above, also where 0.55 * 20 is a little less than 11.
_EDGE = 1e-9
#: Of a value that stands beside a review so many characters tell it from others.
_VALUE_CHARS = 80
#: So many begin a date: 2026-11-28.
_DAY_CHARS = 10


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all predictions; the scores and times are None where there are none.

    `undecided` have a margin below UNDECIDED_MARGIN, `unlabelled` no label with a probability of a half. `mean_square`
    is that of the scores.
    """

    reviews: int
    mean: float | None
    mean_square: float | None
    lowest: float | None
    highest: float | None
    undecided: int
    unlabelled: int
    truncated: int
    tokens: int
    first_scored_at: datetime | None
    last_scored_at: datetime | None


class LabelShare(NamedTuple):
    """How many reviews got a label, and its mean probability in them."""

    label: str
    reviews: int
    mean: float


class Bar(NamedTuple):
    """One bar of a histogram: the label, the bucket counted from 0, and the reviews in it."""

    label: str
    bucket: int
    reviews: int


class Part(NamedTuple):
    """The reviews of a day or of a value: None where none is given. `mean` is that of their scores."""

    of: str | None
    reviews: int
    mean: float


class LabelledPart(NamedTuple):
    """Those of them that got a label."""

    of: str | None
    label: str
    reviews: int


@dataclass(frozen=True, slots=True)
class Buckets:
    """Equal parts of an axis; what is beyond them falls into the last."""

    start: float
    width: float
    count: int


def totals(connection: Connection, scope: ReportScope) -> Totals:
    """Count the scope's predictions, and add up what they say."""
    score = Prediction.score
    found = predictions(
        connection,
        scope,
        func.count(),
        func.avg(score),
        func.avg(score * score),
        func.min(score),
        func.max(score),
        _number_of(Prediction.margin < UNDECIDED_MARGIN),
        _number_of(score < 0.5),
        _number_of(Prediction.truncated),
        func.coalesce(func.sum(Prediction.tokens), 0),
        func.min(Prediction.scored_at),
        func.max(Prediction.scored_at),
    )
    return Totals(*connection.execute(found).one())


def label_shares(connection: Connection, scope: ReportScope) -> list[LabelShare]:
    """Every label that some review got, the most frequent first."""
    said, count = answers(connection, scope), func.count()
    found = select(said.c.label, count, func.avg(said.c.value)).group_by(said.c.label)
    return [LabelShare(*row) for row in connection.execute(found.order_by(count.desc(), said.c.label))]


def histogram(
    connection: Connection, scope: ReportScope, buckets: Buckets, labels: Sequence[str], *, mirrored: bool = False
) -> list[Bar]:
    """How many reviews have a value in each bucket, by label.

    Of a model that gives several labels, the probabilities of those `labels`, given or not. With `mirrored`, which is
    for two labels that exclude one another, it is the probability of the second of them that counts.
    """
    said = answers(connection, scope, labels if scope.gives_several else None)
    value = case((said.c.label == labels[1], said.c.value), else_=1 - said.c.value) if mirrored else said.c.value
    at = whole(connection, (value - buckets.start) / buckets.width + _EDGE)
    bucket = case((at >= buckets.count, buckets.count - 1), else_=at)
    found = select(said.c.label, bucket.label("bucket"), func.count()).select_from(said)
    return [Bar(*row) for row in connection.execute(found.group_by(said.c.label, "bucket"))]


def by_day(connection: Connection, scope: ReportScope, column: str) -> Iterator[Part]:
    """The reviews by the first ten characters of a column that is kept: of a date, the day. In no order."""
    day = func.substr(json_text(connection, Review.extra, column), 1, _DAY_CHARS)
    return map(Part._make, _streamed(connection, _parts(connection, scope, day)))


def labels_by_day(connection: Connection, scope: ReportScope, column: str) -> Iterator[LabelledPart]:
    """The same, by label."""
    day = func.substr(json_text(connection, Review.extra, column), 1, _DAY_CHARS)
    return map(LabelledPart._make, _streamed(connection, _labelled_parts(connection, answers(connection, scope), day)))


def by_value(connection: Connection, scope: ReportScope, column: str, limit: int) -> list[Part]:
    """The most frequent values of a column that is kept, the most frequent first; long ones are cut."""
    found = _parts(connection, scope, _value(connection, column))
    return [Part(*row) for row in connection.execute(found.order_by(func.count().desc(), "of").limit(limit))]


def labels_by_value(
    connection: Connection, scope: ReportScope, column: str, values: Sequence[str | None]
) -> list[LabelledPart]:
    """The reviews with one of those values, by value and label."""
    value = _value(connection, column)
    parts = _labelled_parts(connection, answers(connection, scope), value)
    is_named = value.in_([one for one in values if one is not None])
    is_wanted = or_(is_named, value.is_(None)) if None in values else is_named
    return [LabelledPart(*row) for row in connection.execute(parts.where(is_wanted))]


def readings(connection: Connection, scope: ReportScope) -> list[tuple[str, str, int]]:
    """The number formats computed in and the ways of reading, with how many reviews; the most frequent first."""
    count = func.count()
    found = predictions(connection, scope, Prediction.precision, Prediction.reading, count)
    grouped = found.group_by(Prediction.precision, Prediction.reading).order_by(count.desc())
    return [(precision, reading, reviews) for precision, reading, reviews in connection.execute(grouped)]


def _number_of(condition: ColumnElement[bool] | Any) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _value(connection: Connection, column: str) -> ColumnElement[Any]:
    return func.substr(json_text(connection, Review.extra, column), 1, _VALUE_CHARS)


def _parts(connection: Connection, scope: ReportScope, of: ColumnElement[Any]) -> Any:
    found = predictions(connection, scope, of.label("of"), func.count(), func.avg(Prediction.score))
    return with_reviews(connection, found, Prediction.review_id).group_by("of")


def _labelled_parts(connection: Connection, said: Subquery, of: ColumnElement[Any]) -> Any:
    found = select(of.label("of"), said.c.label, func.count()).select_from(said)
    return with_reviews(connection, found, said.c.review_id).group_by("of", said.c.label)


def _streamed(connection: Connection, statement: Any) -> Any:
    return connection.execute(statement.execution_options(yield_per=1_000))
