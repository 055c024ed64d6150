"""Predictions: what a model version says of a review, at most once per pair."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from math import isfinite
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, or_, select

from db.bulk import BulkInsert, insert_rows
from db.dialect import as_list, is_given, is_one_of, sought_by_other_means
from db.tables import PRECISIONS, TRUNCATE, WHOLE, Failure, Prediction, Review


class Verdict(NamedTuple):
    """A model's answer for one text, not yet tied to a review.

    `probabilities` holds every label's value in the order of the model's labels: probabilities, or
    the raw value for regression. `margin` tells how far the answer is from tipping over, 0 to 1,
    and is None for regression. `tokens` counts the tokens read, special ones and overlaps included; `truncated` tells
    whether some were left out. `precision` is the number format that the model computed in. `reading` is whole, or how
    a text beyond the model's limit was read, and `windows` are the sequences it was read in.
    """

    label: str
    score: float
    margin: float | None
    probabilities: dict[str, float]
    tokens: int
    truncated: bool
    precision: str
    reading: str = WHOLE
    windows: int = 1


@dataclass(slots=True)
class KnownVerdict:
    """What a model already said of a text, and the reviews with that text it was said of.

    `otherwise` has what it said of those of which it said another thing, in another precision say.
    """

    verdict: Verdict
    review_ids: set[int]
    otherwise: dict[int, Verdict] = field(default_factory=dict)

    def add(self, review_id: int, verdict: Verdict) -> None:
        """Note what was said of a review with that text."""
        self.review_ids.add(review_id)
        if (verdict.label, verdict.reading) != (self.verdict.label, self.verdict.reading):
            self.otherwise[review_id] = verdict


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


_VERDICT_COLUMNS = [getattr(Prediction, field) for field in Verdict._fields]
_PREDICTIONS = BulkInsert(
    table=Prediction.__tablename__,
    columns=("review_id", "model_id", "job_id", *Verdict._fields),
    clock="scored_at",
    key=("review_id", "model_id"),
    replaces=True,
)


def known_verdicts(
    connection: Connection,
    model_id: int,
    text_hashes: Sequence[str],
    precisions: Sequence[str],
    readings: Sequence[str],
) -> dict[str, KnownVerdict]:
    """What the model already said of these texts in one of the precisions and readings, by text hash."""
    hashes = as_list(text_hashes)
    asked = {"hashes": hashes, "model_id": model_id, "precisions": precisions, "readings": readings}
    found = connection.execute(_verdicts_on(connection.dialect.name), asked)
    known: dict[str, KnownVerdict] = {}
    for text_hash, review_id, *columns in found:
        verdict = Verdict(*columns)
        known.setdefault(text_hash, KnownVerdict(verdict, set())).add(review_id, verdict)
    return known


@cache
def _verdicts_on(dialect: str) -> Any:
    return (
        select(Review.text_hash, Prediction.review_id, *_VERDICT_COLUMNS)
        .join(Review, Review.id == Prediction.review_id)
        .where(
            is_given(dialect, Review.text_hash, "hashes"),
            sought_by_other_means(dialect, Prediction.model_id) == bindparam("model_id"),
            Prediction.precision.in_(bindparam("precisions", expanding=True)),
            Prediction.reading.in_(bindparam("readings", expanding=True)),
        )
    )


def scored_texts(connection: Connection, model_id: int, text_hashes: Sequence[str]) -> set[str]:
    """Which of these texts, by hash, the model has scored, in whatever precision."""
    found = connection.scalars(
        select(Review.text_hash)
        .join(Prediction, Prediction.review_id == Review.id)
        .where(
            is_one_of(connection, Review.text_hash, text_hashes),
            sought_by_other_means(connection.dialect.name, Prediction.model_id) == model_id,
        )
    )
    return set(found)


def already_scored(
    connection: Connection,
    review_ids: Sequence[int],
    model_ids: Sequence[int],
    precision: str | None,
    reading: str = TRUNCATE,
) -> set[int]:
    """Those of the reviews that one of the models has scored, in the precision asked for or a more exact one.

    Auto, or None, and int8 are content with any. What the null engine made up never counts, nor does what was read of a
    text beyond the model's limit in another way than this one of READINGS.
    """
    of_models = [sought_by_other_means(connection.dialect.name, Prediction.model_id) == id_ for id_ in model_ids]
    found = select(Prediction.review_id).where(
        is_one_of(connection, Prediction.review_id, review_ids),
        or_(*of_models),
        Prediction.reading.in_((WHOLE, reading)),
    )
    exact = PRECISIONS[PRECISIONS.index(precision) :] if precision in ("bfloat16", "float32") else None
    serves = Prediction.precision != "null" if exact is None else Prediction.precision.in_(exact)
    return set(connection.scalars(found.where(serves)))


def store_predictions(connection: Connection, model_id: int, scored: Iterable[Scored]) -> None:
    """Upsert one prediction a review id. In order of id, so that two such transactions cannot deadlock.

    Of two verdicts on one review the last is kept.
    """
    latest = {review_id: (job_id, verdict) for review_id, job_id, verdict in scored}
    insert_rows(
        connection,
        _PREDICTIONS,
        [
            (review_id, model_id, job_id, label, score, margin, _json(probabilities), *rest)
            for review_id, (job_id, (label, score, margin, probabilities, *rest)) in sorted(latest.items())
        ],
    )


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
        connection.execute(insert(Failure), rows)


def _json(probabilities: dict[str, float]) -> str:
    """What json.dumps says, in a third of its time."""
    values = tuple(probabilities.values())
    if not isfinite(sum(values)):
        return json.dumps(probabilities)  # which spells infinity its own way
    return _form(tuple(probabilities)) % values


@lru_cache(maxsize=64)
def _form(labels: tuple[str, ...]) -> str:
    """The JSON of these labels, with a place for each number to go in at full precision."""
    keys = (json.dumps(label).replace("%", "%%") for label in labels)
    return "{" + ", ".join(f"{key}: %r" for key in keys) + "}"
