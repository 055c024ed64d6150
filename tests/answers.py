"""Answers of four models on reviews of two sources, and every filter of results as a few lines of Python."""

import operator
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from db.checkpoint import CheckpointFacts
from db.database import Database
from db.jobs import NewJob, RejectedRow, create_job
from db.kept import KEPT_COLUMNS
from db.predictions import Scored, ScoreFailure, Verdict, store_predictions, store_score_failures
from db.registry import get_model, register_model
from db.result_filters import ResultFilter
from db.results import Result
from db.reviews import store_reviews
from db.tables import Prediction, Review
from tests.samples import SomeReview

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
TEXTS = (
    "Slow delivery, GREAT kettle",
    "100% great",
    "100 of them were slow",
    "under_score",
    "undergscore",
    "ÉTÉ chaud",
    "un été froid",
    "back\\slash and b*ck [x]?",
    'a "quote" and an o\'clock\nin two lines',
)
SENTIMENT = ("negative", "positive")
#: Labels that JSON, SQL and the paths of JSON in SQL each write differently.
TOPICS = ("price.net", 'so-called "service"', "back\\slash", "été", "it's a > b", "plain words", "$.price", "a/b~1")
#: A Monday at midnight. Four weeks from here end in the first of 2026, which has three days of December.
START = datetime(2025, 12, 8, tzinfo=UTC)


@dataclass(frozen=True, repr=False)
class Stored:
    """What is in a database: every result, by job the reviews it read, and the reviews whose text is the newest."""

    rows: list[Result]
    models: dict[str, int]
    job_reviews: dict[int, set[int]]
    job_models: dict[int, int]
    current: set[int]

    def passing(self, wanted: ResultFilter) -> list[Result]:
        """What passes a filter, in its order, but for `limit` and `after`."""
        kept = [row for row in self.rows if all(test(row) for test in self._tests(wanted))]
        name = wanted.order.removeprefix("-").replace("-", "_")
        if name == "margin":
            kept = [row for row in kept if row.margin is not None]
        fields = [] if name == "id" else [name]
        kept.sort(
            key=lambda row: (*(getattr(row, field) for field in fields), row.review_id, self.models[row.model]),
            reverse=wanted.order.startswith("-"),
        )
        return kept[: wanted.uncertain]

    def _tests(self, wanted: ResultFilter) -> list[Callable[[Result], Any]]:
        tests: list[Callable[[Result], Any]] = []
        model = wanted.model_id
        if wanted.job_id is not None:
            reviews = self.job_reviews[wanted.job_id]
            tests.append(lambda row: row.review_id in reviews)
            if model is None and wanted.disagree is None:
                model = self.job_models[wanted.job_id]
        if model is not None:
            tests.append(lambda row: self.models[row.model] == model)
        if wanted.disagree is not None:
            tests.append(lambda row: self._disagree(row, wanted.disagree))
        tests += [lambda row, words=words: _holds(row, words) for words in wanted.text]
        tests += [lambda row, bound=bound: _within(row, bound) for bound in wanted.probabilities]
        tests += [lambda row, one=one: (row.metadata or {}).get(one.column) == one.value for one in wanted.where]
        given: list[tuple[Any, Callable[[Result, Any], Any]]] = [
            (wanted.label, lambda row, label: row.label == label),
            (wanted.min_probability, lambda row, low: row.score >= low),
            (wanted.max_probability, lambda row, high: row.score <= high),
            (wanted.source, lambda row, source: row.source == source),
            (wanted.since, lambda row, since: row.scored_at >= since),
            (wanted.until, lambda row, until: row.scored_at < until),
            (wanted.current or None, lambda row, _: row.review_id in self.current),
        ]
        tests += [lambda row, value=value, test=test: test(row, value) for value, test in given if value is not None]
        return tests

    def _disagree(self, row: Result, models: Any) -> bool:
        mine = self.models[row.model]
        if mine not in models:
            return False
        theirs = models[1 - models.index(mine)]
        others = [one for one in self.rows if one.review_id == row.review_id and self.models[one.model] == theirs]
        return any(_says(row) != _says(other) for other in others)


def _says(row: Result) -> Any:
    if set(row.probabilities) == set(TOPICS):
        return {label for label, value in row.probabilities.items() if value >= 0.5}
    return row.label


def _holds(row: Result, words: str) -> bool:
    return any(words.lower() in text.lower() for text in (row.text, row.text_pair) if text is not None)


def _within(row: Result, bound: Any) -> bool:
    value = row.probabilities.get(bound.label)
    return value is not None and COMPARISONS[bound.comparison](value, bound.value)


def store_answers(database: Database, reviews: int = 24) -> Stored:
    """Fill an empty database: probabilities in sixteenths, so that many are equal and all are exact."""
    draw = random.Random(7)
    with database.write() as connection:
        models = {
            name + "@1": register_model(connection, name, Path("/m"), facts, kind="directory").id
            for name, facts in _MODELS.items()
        }
        ids: list[int] = []
        for source in ("a.csv", 'shop\'s "b"'):
            drawn = [_review(draw, number) for number in range(reviews // 2)]
            # Some texts change: a newer row under the same id.
            drawn += [_review(draw, number, "changed ") for number in range(0, reviews // 2, 3)]
            ids += store_reviews(connection, source, drawn)
        jobs = {model: _job(connection, model, ids[number::2]) for number, model in enumerate(models.values())}
        for name, model in models.items():
            scored = [Scored(id_, jobs[model], _VERDICTS[name](draw)) for id_ in ids if draw.random() < 0.9]
            store_predictions(connection, model, scored)
        for review_id, model in connection.execute(select(Prediction.review_id, Prediction.model_id)).all():
            moment = START + timedelta(hours=draw.choice(range(0, 28 * 24, 8)), microseconds=draw.choice((0, 1)))
            mine = update(Prediction).where(Prediction.review_id == review_id, Prediction.model_id == model)
            connection.execute(mine.values(scored_at=moment))
        store_score_failures(connection, jobs[models["topics@1"]], [ScoreFailure(ids[0], "r0", "memory")])
    return _read(database, models, jobs, ids)


def _read(database: Database, models: dict[str, int], jobs: dict[int, int], ids: list[int]) -> Stored:
    """The rows, put together here rather than by a join."""
    with database.read() as connection:
        reviews = {one.id: one for one in connection.execute(select(Review.__table__))}
        names = {id_: get_model(connection, id_).reference for id_ in models.values()}
        rows = [
            Result(
                **{name: getattr(one, name) for name in Result.__slots__ if name in Prediction.__table__.columns},
                model=names[one.model_id],
                **{name: getattr(reviews[one.review_id], name) for name in ("source", "external_id", "text")},
                text_pair=reviews[one.review_id].text_pair,
                metadata=reviews[one.review_id].metadata,
            )
            for one in connection.execute(select(Prediction.__table__))
        ]
    newest = {(one.source, one.external_id): one.id for one in sorted(reviews.values(), key=lambda one: one.id)}
    return Stored(
        rows,
        models,
        {job: set(ids[number::2]) for number, job in enumerate(jobs.values())},
        {job: model for model, job in jobs.items()},
        set(newest.values()),
    )


def _job(connection: Any, model_id: int, ids: list[int]) -> int:
    rejected = [RejectedRow(3, None, "no text"), RejectedRow(5, "r77", 'it says "no", \nthen ends')]
    params = {KEPT_COLUMNS: ["brand", "shop, city", "stars"]}
    chunks = [ids[at : at + 5] for at in range(0, len(ids), 5)]
    return create_job(connection, NewJob("score", params, chunks, model_id=model_id, rejected=rejected))[0]


def _review(draw: random.Random, number: int, before: str = "") -> SomeReview:
    extra: dict[str, object] = {"brand": draw.choice(("Acme", "acme", "Zenith", "Émile"))}
    if draw.random() < 0.5:
        extra["shop, city"] = draw.choice(("north, A", "south"))
    return SomeReview(
        f"{draw.choice('rR')}{number}" if not before else f"r{number}",
        f"{before}{draw.choice(TEXTS)} {number}",
        draw.choice((None, *TEXTS)),
        draw.choice((extra, extra, None)),
    )


def _facts(labels: tuple[str, ...], problem_type: str, digest: str) -> CheckpointFacts:
    return CheckpointFacts("bert", labels, problem_type, 512, digest * 64)


_MODELS = {
    "old": _facts(SENTIMENT, "single_label_classification", "a"),
    "new": _facts(SENTIMENT, "single_label_classification", "b"),
    "topics": _facts(TOPICS, "multi_label_classification", "c"),
    "themes": _facts(TOPICS, "multi_label_classification", "d"),
    "stars": _facts(("stars",), "regression", "e"),
}


def _sentiment(draw: random.Random) -> Verdict:
    positive = draw.choice((1, 3, 4, 8, 9, 15)) / 16
    probabilities = {"negative": 1 - positive, "positive": positive}
    label = max(SENTIMENT, key=probabilities.__getitem__)
    return Verdict(
        label, probabilities[label], abs(2 * positive - 1), probabilities, draw.choice((5, 9)), False, "int8"
    )


def _topics(draw: random.Random) -> Verdict:
    probabilities = {label: draw.choice((0, 4, 7, 8, 12, 16)) / 16 for label in TOPICS}
    label = max(TOPICS, key=probabilities.__getitem__)
    margin = min(abs(2 * value - 1) for value in probabilities.values())
    return Verdict(label, probabilities[label], margin, probabilities, draw.choice((5, 9)), False, "float32")


def _stars(draw: random.Random) -> Verdict:
    value = draw.choice((0.5, 1.0, 4.25))
    return Verdict("stars", value, None, {"stars": value}, 5, False, "float32")


_VERDICTS = {"old@1": _sentiment, "new@1": _sentiment, "topics@1": _topics, "themes@1": _topics, "stars@1": _stars}
