"""How often versions were right, by what people say, over time."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import delete, update

from db.accuracy import Accuracy, accuracy
from db.corrections import NewCorrection, store_corrections
from db.database import Database
from db.jobs import LabelledReview, NewJob, create_job
from db.tables import Job, Prediction
from db.training import set_trained_model
from tests.corrected import add_model, score

#: A Monday, and the last moment of the Sunday before it.
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
SUNDAY = MONDAY - timedelta(seconds=1)
Correct = Callable[..., None]


@pytest.fixture
def correct(database: Database) -> Correct:
    """Store corrections given as (review id, annotator, label), all of the same version and time."""

    def keep(model_id: int, *given: tuple[int, str, str], at: datetime = MONDAY) -> None:
        with database.write() as connection:
            store_corrections(connection, [NewCorrection(id_, model_id, who, label, at) for id_, who, label in given])

    return keep


def told(database: Database, *model_ids: int, by_week: bool = False) -> list[Accuracy]:
    with database.read() as connection:
        return accuracy(connection, model_ids or None, by_week=by_week)


def test_a_review_counts_once_by_what_most_annotators_say(database: Database, correct: Correct) -> None:
    with database.write() as connection:
        model = add_model(connection, "sentiment")
        _, ids = score(connection, model)
    right, wrong = [(ids[0], who, "positive") for who in ("ada", "bob")], [(ids[0], "eve", "negative")]
    tie = [(ids[1], "ada", "positive"), (ids[1], "bob", "negative")]
    correct(model.id, *right, *wrong, *tie, (ids[2], "ada", "negative"))
    (found,) = told(database)
    assert found == Accuracy("sentiment@1", None, 2, 1, None, ties=1, trained_on=0, unanswered=0)
    assert found.share == 0.5


def test_weeks_begin_on_monday_in_utc(database: Database, correct: Correct) -> None:
    with database.write() as connection:
        model = add_model(connection, "sentiment")
        _, ids = score(connection, model)
    correct(model.id, (ids[0], "ada", "positive"), (ids[1], "ada", "positive"), at=SUNDAY)
    correct(model.id, (ids[2], "ada", "positive"), at=MONDAY)
    correct(model.id, (ids[3], "ada", "negative"), at=MONDAY + timedelta(days=6, hours=23))
    weeks = [(one.week, one.reviews, one.right) for one in told(database, by_week=True)]
    assert weeks == [(date(2026, 11, 16), 2, 1), (date(2026, 11, 23), 2, 2)]
    assert [(one.week, one.reviews, one.right) for one in told(database)] == [(None, 4, 3)]


def test_each_version_is_measured_on_what_was_seen_of_it(database: Database, correct: Correct) -> None:
    with database.write() as connection:
        old = add_model(connection, "sentiment")
        new = add_model(connection, "sentiment", "e" * 64)
        other = add_model(connection, "topics")
        _, ids = score(connection, old)
        score(connection, new)
        score(connection, other)
    correct(old.id, (ids[0], "ada", "negative"), (ids[1], "ada", "negative"))
    # The same annotator looks again, at another version's answers, and says otherwise.
    correct(new.id, (ids[0], "ada", "positive"), at=MONDAY + timedelta(days=7))
    correct(other.id, (ids[0], "ada", "price"), (ids[1], "ada", "price"))
    found = {one.model: (one.reviews, one.right) for one in told(database)}
    assert found == {"sentiment@1": (2, 2), "sentiment@2": (1, 1), "topics@1": (2, 1)}
    assert [one.model for one in told(database, new.id)] == ["sentiment@2"]
    assert told(database, 99) == []


def test_numbers_are_measured_by_their_distance(database: Database, correct: Correct) -> None:
    with database.write() as connection:
        model = add_model(connection, "mark")
        _, ids = score(connection, model)
    correct(model.id, (ids[0], "ada", "5.0"), (ids[0], "bob", "4.0"), (ids[1], "ada", "3.0"))
    (found,) = told(database)
    assert (found.reviews, found.right, found.mean_error, found.share) == (2, None, 1.0, None)


def test_what_a_version_was_trained_on_is_not_counted(database: Database, correct: Correct) -> None:
    with database.write() as connection:
        model = add_model(connection, "sentiment")
        _, ids = score(connection, model)
        examples = [LabelledReview(ids[0], "positive", "train"), LabelledReview(ids[1], "negative", "test")]
        job_id, _ = create_job(connection, NewJob("finetune", {}, [ids[:2]], examples=examples))
        set_trained_model(connection, job_id, model.id)
    correct(model.id, (ids[0], "ada", "positive"), (ids[1], "ada", "negative"), (ids[2], "ada", "negative"))
    (found,) = told(database)
    assert (found.reviews, found.right, found.trained_on) == (2, 1, 1)


def test_what_was_said_counts_after_a_prune_and_after_other_scores(database: Database, correct: Correct) -> None:
    with database.write() as connection:
        model = add_model(connection, "sentiment")
        _, ids = score(connection, model)
    correct(model.id, (ids[0], "ada", "positive"))
    with database.write() as connection:
        connection.execute(update(Prediction).values(label="negative"))
        connection.execute(delete(Prediction).where(Prediction.review_id != ids[0]))
        connection.execute(update(Job).values(params={}))
    correct(model.id, (ids[1], "ada", "positive"))
    (found,) = told(database)
    assert (found.reviews, found.right, found.unanswered) == (1, 1, 1)
