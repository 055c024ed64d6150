"""The reviews that a report shows, and samples of what stands beside them. Asked within `in_scope`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from db.report_scope import ReportScope, predictions, review_ids, with_reviews
from db.tables import Prediction, Review

#: Of a text so many characters are read; the longest reviews have a hundred thousand.
SHOWN_CHARS = 600
#: The same text may stand under several ids; so many are looked at for each that is to be shown.
_SPARE = 5
#: A sample is taken at so many places, because a source may be sorted.
_PLACES = 20


@dataclass(frozen=True, slots=True)
class ShownReview:
    """A review with what was said of it; its texts are cut to SHOWN_CHARS, `chars` is how long the first was."""

    external_id: str
    label: str
    score: float
    margin: float | None
    probabilities: dict[str, float]
    text: str
    text_pair: str | None
    chars: int


def highest(connection: Connection, scope: ReportScope, label: str, limit: int) -> list[ShownReview]:
    """The reviews that got the label and have its highest values, highest first."""
    found = _of_label(connection, scope, label).order_by(Prediction.score.desc(), Prediction.review_id)
    return _different(connection, found, limit)


def lowest(connection: Connection, scope: ReportScope, label: str, limit: int) -> list[ShownReview]:
    """The same with its lowest values, lowest first."""
    found = _of_label(connection, scope, label).order_by(Prediction.score, Prediction.review_id)
    return _different(connection, found, limit)


def middle(connection: Connection, scope: ReportScope, label: str, limit: int) -> list[ShownReview]:
    """Those around the median: of the reviews with the label half have a higher value, and half a lower one."""
    counted = predictions(connection, scope, func.count()).where(Prediction.label == label)
    count = connection.scalar(counted) or 0
    # The spare ones are on both sides of it, and the nearest come first.
    start = max(0, (count - limit * _SPARE) // 2)
    found = _of_label(connection, scope, label).order_by(Prediction.score, Prediction.review_id).offset(start)
    shown = _read(connection, found.limit(limit * _SPARE))
    centre = count // 2 - start
    nearest = sorted(range(len(shown)), key=lambda at: abs(at - centre))
    return _first_of_each([shown[at] for at in nearest], limit)


def least_sure(connection: Connection, scope: ReportScope, limit: int) -> list[ShownReview]:
    """The reviews whose answer is closest to tipping over, closest first."""
    found = _shown(connection, scope).where(Prediction.margin.is_not(None))
    return _different(connection, found.order_by(Prediction.margin, Prediction.review_id), limit)


def sample_kept(connection: Connection, scope: ReportScope, limit: int) -> list[dict[str, Any]]:
    """What is kept beside some of the reviews, taken evenly from the first to the last."""
    ids = review_ids(scope)
    count = connection.scalar(select(func.count()).select_from(ids.subquery())) or 0
    kept: dict[int, dict[str, Any]] = {}
    for place in range(_PLACES):
        some = ids.limit(limit // _PLACES).offset(count * place // _PLACES).subquery()
        found = select(Review.id, Review.extra).join(some, some.c.review_id == Review.id)
        kept |= {id_: extra or {} for id_, extra in connection.execute(found)}
    return list(kept.values())


def _shown(connection: Connection, scope: ReportScope) -> Select[Any]:
    columns: tuple[ColumnElement[Any] | Any, ...] = (
        Review.external_id,
        Prediction.label,
        Prediction.score,
        Prediction.margin,
        Prediction.probabilities,
        func.substr(Review.text, 1, SHOWN_CHARS),
        func.substr(Review.text_pair, 1, SHOWN_CHARS),
        func.length(Review.text),
    )
    return with_reviews(connection, predictions(connection, scope, *columns), Prediction.review_id)


def _of_label(connection: Connection, scope: ReportScope, label: str) -> Select[Any]:
    return _shown(connection, scope).where(Prediction.label == label)


def _different(connection: Connection, found: Select[Any], limit: int) -> list[ShownReview]:
    return _first_of_each(_read(connection, found.limit(limit * _SPARE)), limit)


def _read(connection: Connection, found: Select[Any]) -> list[ShownReview]:
    return [ShownReview(*row) for row in connection.execute(found)]


def _first_of_each(shown: Sequence[ShownReview], limit: int) -> list[ShownReview]:
    by_text = {(one.text, one.text_pair): one for one in reversed(shown)}
    return [one for one in shown if by_text[one.text, one.text_pair] is one][:limit]
