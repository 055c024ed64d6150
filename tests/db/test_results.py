"""Predictions are kept once a review and model, and questions about them are answered."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from db.database import Database
from db.errors import UnknownJob, UnknownLabel
from db.jobs import NewJob, create_job
from db.predictions import Scored, ScoreFailure, known_verdicts, store_predictions, store_score_failures
from db.registry import RegisteredModel
from db.results import Result, ResultFilter, find_results
from db.reviews import load_reviews, store_reviews
from db.tables import Failure, Prediction
from tests.samples import SomeReview, verdict

PROBABILITIES = (0.9, 0.2, 0.55, 0.4)
Ask = Callable[..., list[Result]]


@pytest.fixture
def job(database: Database, model: RegisteredModel) -> int:
    """A job of four reviews, positive with PROBABILITIES; its last row repeats the first."""
    reviews = [SomeReview(f"r{number}", f"text {number}") for number in range(4)]
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", reviews)
        job_id, _ = create_job(connection, NewJob("score", {}, [ids[:2], [*ids[2:], ids[0]]], model_id=model.id))
        scored = [Scored(id_, job_id, verdict(positive)) for id_, positive in zip(ids, PROBABILITIES, strict=True)]
        store_predictions(connection, model.id, scored)
    return job_id


@pytest.fixture
def ask(database: Database) -> Ask:
    def find(**wanted: object) -> list[Result]:
        with database.read() as connection:
            return list(find_results(connection, ResultFilter(**wanted)))  # type: ignore[arg-type]

    return find


def ids(results: list[Result]) -> list[str]:
    return [one.external_id for one in results]


def test_a_result_tells_all(ask: Ask, job: int) -> None:
    first = ask(job_id=job)[0]
    assert (first.external_id, first.source, first.model) == ("r0", "file.csv", "sentiment@1")
    assert (first.label, first.score, first.text) == ("positive", 0.9, "text 0")
    assert first.probabilities == {"negative": pytest.approx(0.1), "positive": 0.9}
    assert abs(datetime.now(UTC) - first.scored_at) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["r0", "r1", "r2", "r3"]),
        ({"label": "positive"}, ["r0", "r2"]),
        ({"label": "negative", "min_probability": 0.7}, ["r1"]),
        ({"max_probability": 0.7}, ["r2", "r3"]),
        ({"uncertain": 2}, ["r2", "r3"]),
        ({"uncertain": 3, "limit": 1}, ["r2"]),
        ({"limit": 3}, ["r0", "r1", "r2"]),
        ({"since": datetime.now(UTC) + timedelta(days=1)}, []),
        ({"since": datetime.now(UTC) - timedelta(days=1)}, ["r0", "r1", "r2", "r3"]),
    ],
)
def test_filters_narrow(ask: Ask, job: int, wanted: dict[str, object], found: list[str]) -> None:
    assert ids(ask(**wanted)) == found
    assert ids(ask(job_id=job, **wanted)) == found


def test_a_job_has_the_predictions_it_reused(database: Database, model: RegisteredModel, ask: Ask, job: int) -> None:
    with database.write() as connection:
        reviews = store_reviews(connection, "file.csv", [SomeReview("r1", "text 1"), SomeReview("r9", "new")])
        again, _ = create_job(connection, NewJob("score", {}, [reviews], model_id=model.id))
    assert ids(ask(job_id=again)) == ["r1"]


def test_a_prediction_is_kept_once(database: Database, model: RegisteredModel, ask: Ask, job: int) -> None:
    review_id = ask(limit=1)[0].review_id
    with database.write() as connection:
        store_predictions(connection, model.id, [Scored(review_id, job, verdict(0.3))])
        assert connection.scalar(select(func.count()).select_from(Prediction)) == 4
    assert ask(limit=1)[0].score == pytest.approx(0.7)


def test_known_verdicts_are_found_by_text(database: Database, model: RegisteredModel, ask: Ask, job: int) -> None:
    review_id = ask(limit=1)[0].review_id
    with database.read() as connection:
        text_hash = load_reviews(connection, [review_id])[review_id].text_hash
        known = known_verdicts(connection, model.id, [text_hash, "unheard of"], ["int8", "float32"], ["whole"])
        assert known_verdicts(connection, model.id + 1, [text_hash], ["float32"], ["whole"]) == {}
        assert known_verdicts(connection, model.id, [text_hash], ["int8", "bfloat16"], ["whole"]) == {}
        assert known_verdicts(connection, model.id, [text_hash], ["float32"], ["truncate", "window"]) == {}
    assert set(known) == {text_hash}
    assert known[text_hash].review_ids == {review_id}
    assert known[text_hash].verdict == verdict(0.9)


def test_how_much_was_read_is_kept_with_what_is_said(
    database: Database, model: RegisteredModel, ask: Ask, job: int
) -> None:
    ids = [one.review_id for one in ask()]
    windows = verdict(0.9)._replace(reading="window", windows=3, tokens=1_400)
    head_tail = verdict(0.2)._replace(reading="head-tail", truncated=True)
    with database.write() as connection:
        store_predictions(connection, model.id, [Scored(ids[0], job, windows), Scored(ids[1], job, head_tail)])
        hashes = [one.text_hash for one in load_reviews(connection, ids).values()]
        known = known_verdicts(connection, model.id, hashes, ["float32"], ["whole", "window"])
    assert sorted(id_ for one in known.values() for id_ in one.review_ids) == [ids[0], *ids[2:]]
    assert windows in [one.verdict for one in known.values()]
    told = [(one.reading, one.windows, one.truncated) for one in ask()]
    assert told == [("window", 3, False), ("head-tail", 1, True), ("whole", 1, False), ("whole", 1, False)]


def test_failures_of_scoring_are_kept(database: Database, job: int) -> None:
    with database.write() as connection:
        store_score_failures(connection, job, [ScoreFailure(None, "r7", "deleted")])
        store_score_failures(connection, job, [])
        kept = connection.execute(select(Failure.external_id, Failure.stage, Failure.reason)).all()
    assert kept == [("r7", "score", "deleted")]


def test_questions_that_make_no_sense(ask: Ask, database: Database, job: int) -> None:
    with pytest.raises(UnknownLabel, match="labels are: negative, positive"):
        ask(label="meh")
    with pytest.raises(UnknownJob, match="there is no job 99"):
        ask(job_id=99)
    with database.write() as connection:
        training, _ = create_job(connection, NewJob("finetune", {}, [[]]))
    with pytest.raises(UnknownJob, match="is a fine-tuning job"):
        ask(job_id=training)
