"""The views say the same on both databases, and what docs/results.md says they do."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from db.database import Database
from db.jobs import job_status
from db.outcome import job_outcome
from db.predictions import Scored, Verdict, store_predictions
from db.promotion import promote
from db.registry import RegisteredModel, register_model
from db.results import label_counts
from db.reviews import store_reviews
from db.schema import upgrade
from tests.db.planted import SOURCE, Planted, plant
from tests.samples import SomeReview, facts, verdict

VIEWS = ("job_summary", "label_by_day", "latest_predictions", "model_disagreements")
Row = dict[str, Any]


@pytest.fixture
def planted(database: Database) -> Planted:
    return plant(database)


@pytest.fixture
def both(sqlite_url: str, postgresql_url: str) -> Iterator[tuple[Database, Database]]:
    """The same data in a database of each kind."""
    opened = Database(sqlite_url), Database(postgresql_url)
    for database in opened:
        upgrade(database)
        plant(database)
    yield opened
    for database in opened:
        database.close()


def rows(database: Database, query: str, **values: object) -> list[Row]:
    with database.read() as connection:
        return [dict(row) for row in connection.execute(text(query), values).mappings()]


def alike(row: Row) -> Row:
    """The row as both databases would give it, who have types of their own for JSON, flags and times."""
    return {name: _alike(name, value) for name, value in row.items()}


def _alike(name: str, value: Any) -> Any:
    if isinstance(value, float):
        return pytest.approx(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
    if isinstance(value, date):
        return value.isoformat()
    if name in ("probabilities", "metadata") and isinstance(value, str):
        return json.loads(value)
    return value


@pytest.mark.parametrize("view", VIEWS)
def test_views_have_the_same_rows_on_both_databases(both: tuple[Database, Database], view: str) -> None:
    on_sqlite, on_postgresql = (
        sorted(rows(database, f"SELECT * FROM {view}"), key=lambda row: [str(row[name]) for name in ORDER[view]])
        for database in both
    )
    assert len(on_sqlite) > 1
    assert list(on_sqlite[0]) == list(on_postgresql[0])
    assert [alike(row) for row in on_sqlite] == [alike(row) for row in on_postgresql]


#: Columns by which no two rows of a view are the same.
ORDER = {
    "job_summary": ("job_id",),
    "label_by_day": ("day", "model", "label"),
    "latest_predictions": ("source", "external_id"),
    "model_disagreements": ("review_id", "model_a", "model_b"),
}


def test_there_are_these_views_and_no_others(database: Database) -> None:
    with database.read() as connection:
        assert sorted(inspect(connection).get_view_names()) == sorted(VIEWS)


def latest(database: Database) -> dict[str, tuple[str, str]]:
    """Who speaks of each review, and what it says."""
    found = rows(database, "SELECT external_id, model, label FROM latest_predictions")
    assert len({row["external_id"] for row in found}) == len(found)
    return {row["external_id"]: (row["model"], row["label"]) for row in found}


def test_the_version_in_production_speaks_and_else_the_newest(database: Database, planted: Planted) -> None:
    said = latest(database)
    assert said["1004"] == ("sentiment@1", "positive")
    assert said["1006"] == ("sentiment@2", "negative")  # the version in production failed at it
    with database.write() as connection:
        promote(connection, planted.second.reference, "production", force=True)
    said = latest(database)
    assert said["1004"] == ("sentiment@2", "negative")
    assert said["1008"] == ("sentiment@1", "positive")  # the version in production has not scored it
    with database.write() as connection:
        connection.execute(text("UPDATE models SET aliases = '[]'"))
    assert latest(database)["1004"] == ("sentiment@2", "negative")


def test_an_alias_that_only_begins_like_production_has_no_say(database: Database, planted: Planted) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE models SET aliases = '[]'"))
        promote(connection, planted.first.reference, "production-eu")
    assert latest(database)["1004"] == ("sentiment@2", "negative")


def test_only_the_newest_revision_of_a_review_counts(database: Database, planted: Planted) -> None:
    assert latest(database)["1003"] == ("sentiment@1", "negative")
    with database.write() as connection:
        store_reviews(connection, SOURCE, [SomeReview("1001", "I take it all back.")])
        # The same id in another source is another review.
        store_reviews(connection, "other.csv", [SomeReview("1002", "Something else.")])
    assert "1001" not in latest(database)
    assert "1002" in latest(database)


def test_the_summary_of_a_job_is_what_the_job_says_of_itself(database: Database, planted: Planted) -> None:
    found = {row["job_id"]: row for row in rows(database, "SELECT * FROM job_summary")}
    assert set(found) == set(planted.jobs)
    with database.read() as connection:
        for job_id, row in found.items():
            job = job_status(connection, job_id)
            assert {name: row[name] for name in ("kind", "state", "model", "priority", "total")} == {
                name: getattr(job, name) for name in ("kind", "state", "model", "priority", "total")
            }
            outcome = job_outcome(connection, job)
            assert {name: row[name] for name in outcome} == outcome
            counts = label_counts(connection, job_id)
            assert row["top_label"] == next(iter(counts), None)
            if counts:
                assert row["top_share"] == pytest.approx(max(counts.values()) / (job.scored + job.reused))
    assert found[1]["failed"] == 2  # a row that was refused, and a review that the model failed at
    assert found[2]["top_label"] == "positive"  # with the one that is reused


def test_a_fine_tuning_job_has_no_pace_and_no_label(database: Database, planted: Planted) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE jobs SET kind = 'finetune', error = 'no' WHERE id = 4"))
    (row,) = rows(database, "SELECT * FROM job_summary WHERE kind = 'finetune'")
    assert (row["reviews_per_second"], row["top_label"], row["error"]) == (None, None, "no")


def test_days_are_those_of_utc(database: Database, planted: Planted) -> None:
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL TIME ZONE 'Pacific/Auckland'"))
        last = "2026-11-02 23:59:59.999000" + ("" if database.is_sqlite else "+00")
        connection.execute(text(f"UPDATE predictions SET scored_at = '{last}' WHERE model_id = 1"))
        days = connection.execute(text("SELECT DISTINCT day FROM label_by_day WHERE model = 'sentiment@1'"))
        assert [str(day) for day in days.scalars()] == ["2026-11-02"]


def test_shares_are_of_what_a_version_scored_on_a_day(database: Database, planted: Planted) -> None:
    wednesday = rows(database, "SELECT * FROM label_by_day WHERE day = '2026-11-04' ORDER BY label")
    assert [(row["label"], row["reviews"]) for row in wednesday] == [("negative", 4), ("positive", 3)]
    assert [row["share"] for row in wednesday] == pytest.approx([4 / 7, 3 / 7])
    monday = rows(database, "SELECT share FROM label_by_day WHERE day = '2026-11-02'")
    assert [row["share"] for row in monday] == pytest.approx([1 / 3] * 3)
    assert [row["mean_score"] for row in wednesday] == pytest.approx([(0.97 + 0.52 + 0.94 + 0.86) / 4, 2.22 / 3])


def test_what_two_versions_score_on_one_day_is_told_apart(database: Database, planted: Planted) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE predictions SET scored_at = (SELECT max(scored_at) FROM predictions)"))
    totals = rows(database, "SELECT model, sum(share) AS whole, sum(reviews) AS all_of_it FROM label_by_day GROUP BY 1")
    assert {row["model"]: (row["whole"], row["all_of_it"]) for row in totals} == {
        "sentiment@1": (pytest.approx(1), 8),
        "sentiment@2": (pytest.approx(1), 7),
    }


def test_versions_disagree_where_each_could_have_said_the_others_label(database: Database, planted: Planted) -> None:
    query = "SELECT external_id, model_a, label_a, model_b, label_b FROM model_disagreements ORDER BY 1, 2, 4"
    between_versions = [
        ("1004", "sentiment@1", "positive", "sentiment@2", "negative"),
        ("1007", "sentiment@1", "neutral", "sentiment@2", "positive"),
    ]
    assert [tuple(row.values()) for row in rows(database, query)] == between_versions
    with database.write() as connection:
        topics = _model(connection, "topics", ("delivery", "quality"))
        narrower = _model(connection, "polarity", ("negative", "positive"))
        for model, label in ((topics, "quality"), (narrower, "negative")):
            said = _saying(label)
            store_predictions(connection, model.id, [Scored(id_, planted.jobs[0], said) for id_ in (1, 7)])
    # Of 1007 the first says neutral, which the narrower cannot; of 1003 the old text is no matter.
    assert [tuple(row.values()) for row in rows(database, query)] == [
        ("1001", "sentiment@1", "positive", "polarity@1", "negative"),
        ("1001", "sentiment@2", "positive", "polarity@1", "negative"),
        *between_versions,
        ("1007", "sentiment@2", "positive", "polarity@1", "negative"),
    ]


def _model(connection: Any, name: str, labels: tuple[str, ...]) -> RegisteredModel:
    return register_model(connection, name, Path(f"/models/{name}"), facts(name, labels), kind="directory")


def _saying(label: str) -> Verdict:
    return verdict(0.9)._replace(label=label)
