"""Predictions: what a model version says of a review, at most once per pair."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy import insert as plain_insert

from db.dialect import insert, is_one_of
from db.tables import Failure, Prediction, Review

#: Rows of one INSERT.
_INSERT_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """A model's answer for one text, not yet tied to a review.

    `probabilities` holds every label's value in the order of the model's labels: probabilities, or
    the raw value for regression. `margin` tells how far the answer is from tipping over, 0 to 1,
    and is None for regression. `tokens` counts the tokens read, special ones included.
    """

    label: str
    score: float
    margin: float | None
    probabilities: dict[str, float]
    tokens: int
    truncated: bool


@dataclass(slots=True)
class KnownVerdict:
    """What a model already said of a text, and the reviews with that text it was said of."""

    verdict: Verdict
    review_ids: set[int]


class Scored(NamedTuple):
    """A review, the verdict on it, and the job that asked for it."""

    review_id: int
    job_id: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ScoreFailure:
    """A review that could not be scored, and why."""

    review_id: int | None
    external_id: str | None
    reason: str


_VERDICT_COLUMNS = [getattr(Prediction, field) for field in Verdict.__slots__]


def known_verdicts(connection: Connection, model_id: int, text_hashes: Sequence[str]) -> dict[str, KnownVerdict]:
    """What the model already said of these texts, by text hash."""
    found = connection.execute(
        select(Review.text_hash, Prediction.review_id, *_VERDICT_COLUMNS)
        .join(Review, Review.id == Prediction.review_id)
        .where(is_one_of(connection, Review.text_hash, text_hashes), Prediction.model_id == model_id)
    )
    known: dict[str, KnownVerdict] = {}
    for text_hash, review_id, *verdict in found:
        known.setdefault(text_hash, KnownVerdict(Verdict(*verdict), set())).review_ids.add(review_id)
    return known


def store_predictions(connection: Connection, model_id: int, scored: Iterable[Scored]) -> None:
    """Upsert one prediction a review id. In order of id, so that two such transactions cannot deadlock."""
    statement = insert(connection, Prediction)
    new = statement.excluded
    replaced = {name: new[name] for name in ("job_id", "scored_at", *Verdict.__slots__)}
    statement = statement.on_conflict_do_update(index_elements=["review_id", "model_id"], set_=replaced)
    rows = iter(
        [
            {"review_id": one.review_id, "model_id": model_id, "job_id": one.job_id, **_columns(one.verdict)}
            for one in sorted(scored, key=lambda one: one.review_id)
        ]
    )
    while batch := list(islice(rows, _INSERT_ROWS)):
        connection.execute(statement, batch)


def store_score_failures(connection: Connection, job_id: int, failures: Sequence[ScoreFailure]) -> None:
    """Record the reviews of a job that could not be scored."""
    if failures:
        rows = [
            {
                "job_id": job_id,
                "stage": "score",
                "review_id": failure.review_id,
                "external_id": failure.external_id,
                "reason": failure.reason,
            }
            for failure in failures
        ]
        connection.execute(plain_insert(Failure), rows)


def _columns(verdict: Verdict) -> dict[str, Any]:
    return {field: getattr(verdict, field) for field in Verdict.__slots__}
