"""What the soak's books tell of: what was lost, done twice, or not done."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, Executable, delete, insert, update

from db.claims import claim_chunk, finish_chunk
from db.database import Database
from db.job_counts import Told, add_counts
from db.jobs import NewJob, create_job, settle_job
from db.predictions import Scored, store_predictions
from db.registry import register_model
from db.reviews import store_reviews
from db.tables import Chunk, Job, Prediction, Schedule, ScheduleRun
from tests.samples import SomeReview, facts, verdict
from tests.soak.books import what_is_wrong
from tests.soak.load import SCHEDULE

_REVIEWS = 4
_NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
#: What was asked for in all.
LOAD = SimpleNamespace(asked=Counter(stars=_REVIEWS), again=Counter())


@pytest.fixture
def database(database: Database) -> Database:
    """A job that is done, of one chunk, and a schedule that fired at three minutes and once more by hand."""
    with database.write() as connection:
        model = register_model(connection, "stars", "/models/stars", facts(), kind="directory")
        reviews = store_reviews(
            connection, "soak", [SomeReview(str(number), f"text {number}") for number in range(_REVIEWS)]
        )
        job_id, (chunk_id,) = create_job(connection, NewJob("score", {}, [reviews], model_id=model.id))
        claim = claim_chunk(connection, chunk_id, "me", 60)
        assert claim is not None
        finish_chunk(connection, claim, scored=_REVIEWS)
        store_predictions(connection, model.id, [Scored(review, job_id, verdict(0.9)) for review in reviews])
        add_counts(connection, {job_id: Told(Counter(positive=_REVIEWS))})
        settle_job(connection, job_id)
        _add_schedule(connection)
    return database


def _add_schedule(connection: Connection) -> None:
    schedule = {"name": SCHEDULE, "cron": "* * * * *", "timezone": "UTC", "command": "score", "params": {}}
    (schedule_id,) = connection.execute(insert(Schedule).values(schedule).returning(Schedule.id)).one()
    for seconds in (0, 60, 120, 130):
        at = _NOON + timedelta(seconds=seconds)
        connection.execute(insert(ScheduleRun).values(schedule_id=schedule_id, scheduled_for=at, state="enqueued"))


def test_books_that_balance(database: Database) -> None:
    assert wrong(database) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (delete(Prediction).where(Prediction.review_id == 1), "reviews scored by stars: 3, and not 4"),
        (update(Chunk).values(scored=_REVIEWS + 1), "scored by stars, by chunks: 5, and not 4"),
        (update(Chunk).values(reused=1), "reused of stars, by chunks: 1, and not 0"),
        (update(Job).values(state="running"), "state of job 1: running, and not done"),
        (update(Chunk).values(lease_owner="somebody"), "chunks under a lease: 1, and not 0"),
        (delete(ScheduleRun).where(ScheduleRun.id == 2), "the schedule fired at 2026-11-29 12:00"),
        (update(ScheduleRun).where(ScheduleRun.id == 1).values(state="failed", reason="gone"), "is failed: gone"),
    ],
    ids=lambda value: value.split(":")[0].replace(" ", "-") if isinstance(value, str) else "",
)
def test_whatever_is_wrong_is_told(database: Database, change: Executable, told: str) -> None:
    with database.write() as connection:
        connection.execute(change)
    assert any(told in line for line in wrong(database)), wrong(database)


def wrong(database: Database) -> list[str]:
    with database.read() as connection:
        return what_is_wrong(connection, LOAD)
