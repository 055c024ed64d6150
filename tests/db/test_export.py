"""What is read in bulk for files is, value for value and in the same order, what find_results finds."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update

from db.database import Database
from db.export import count_cheaply, labels_of_one_model, read_in_bulk
from db.jobs import NewJob, create_job
from db.predictions import Scored, Verdict, store_predictions
from db.registry import RegisteredModel, register_model
from db.results import Result, ResultFilter, find_results, result_statement
from db.reviews import store_reviews
from db.tables import Prediction, Review
from tests.samples import SomeReview, facts, verdict

NASTY = (
    "line one\nline two\r\nthree",
    "control \x01\x1b[31m\x7f\x85 characters",
    "emoji 👍🏽 and 𝔐𝔲𝔩𝔱𝔦, עברית",
    "\"quotes\", 'apostrophes', \\backslashes\\ and %s %d {}",
    '=HYPERLINK("http://x")',
    "a,b;c\td",
    "null",
    "1e-9",
)
KEPT: tuple[dict[str, object] | None, ...] = (
    None,
    {"brand": "Ünïcode 👍", "stars": 4},
    {"tiny": 1e-9, "whole": 1.0, "large": 12345678901234567890, "flag": True, "none": None},
    {"nested": {"list": [1, -2.5, "x"]}, 'quote"d': "back\\slash \u0001"},
    {},
    {"=formula": "-1+1", "text": "a,=b"},
    {"a": "\\u00e9 is not é"},
    {"control": "\t\n\u2028"},
)
NUMBERS = (1e-9, 1 - 1e-9, 0.1 + 0.2, 5e-324, 0.0, 1.0, 1 / 3, 0.9999999999999999)


@pytest.fixture
def filled(database: Database, model: RegisteredModel) -> int:
    """A job of reviews with every nasty text, with nasty columns beside them; returns its id."""
    reviews = [
        SomeReview(f"id {number} {words[:5]}", words, words[::-1] if number % 2 else None, KEPT[number])
        for number, words in enumerate(NASTY)
    ]
    with database.write() as connection:
        ids = store_reviews(connection, "fi,le.csv", reviews)
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        scored = [
            Scored(
                id_,
                job_id,
                verdict(positive, tokens)._replace(margin=None if tokens == 3 else 1e-9, truncated=tokens == 2),
            )
            for tokens, (id_, positive) in enumerate(zip(ids, NUMBERS, strict=True))
        ]
        store_predictions(connection, model.id, scored)
        whole_second = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
        connection.execute(update(Prediction).where(Prediction.review_id == ids[0]).values(scored_at=whole_second))
        connection.execute(update(Review).where(Review.id == ids[4]).values(extra=None))
    return job_id


def in_bulk(database: Database, wanted: ResultFilter) -> list[dict[str, Any]]:
    with database.read() as connection:
        batches = read_in_bulk(connection, result_statement(connection, wanted))
        rows = [row for batch in batches for row in batch]
    return [dict(zip([field.name for field in fields(Result)], row, strict=True)) for row in rows]


def one_by_one(database: Database, wanted: ResultFilter) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [asdict(one) for one in find_results(connection, wanted)]


def read(document: dict[str, Any]) -> dict[str, Any]:
    """The values that a document in bulk stands for."""
    metadata = document["metadata"]
    return document | {
        "probabilities": json.loads(document["probabilities"]),
        "metadata": None if metadata is None else json.loads(metadata),
        "scored_at": datetime.fromisoformat(document["scored_at"]),
    }


@pytest.mark.parametrize(
    "wanted",
    [
        ResultFilter(),
        ResultFilter(job_id=1),
        ResultFilter(label="negative", min_probability=0.3),
        ResultFilter(uncertain=5),
        ResultFilter(limit=3),
    ],
)
def test_every_value_is_that_of_the_results(database: Database, filled: int, wanted: ResultFilter) -> None:
    expected = one_by_one(database, wanted)
    found = in_bulk(database, wanted)
    assert expected
    assert [read(one) for one in found] == expected
    for one, result in zip(found, expected, strict=True):
        assert {name: type(value) for name, value in read(one).items()} == {n: type(v) for n, v in result.items()}
        assert list(json.loads(one["probabilities"])) == list(result["probabilities"])
        assert one["scored_at"] == result["scored_at"].isoformat()


def test_a_server_whose_clock_is_elsewhere_tells_the_same_time(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview("r", "text")])
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        store_predictions(connection, model.id, [Scored(ids[0], job_id, verdict(0.9))])
    with database.read() as connection:
        connection.execute(text("SET LOCAL TIME ZONE 'Asia/Kolkata'"))
        ((row,),) = read_in_bulk(connection, result_statement(connection, ResultFilter()))
        (result,) = find_results(connection, ResultFilter())
    assert row[13] == result.scored_at.isoformat()
    database.close()


def test_rows_are_counted_where_that_is_cheap(database: Database, filled: int) -> None:
    def count(**wanted: Any) -> int | None:
        with database.read() as connection:
            return count_cheaply(connection, result_statement(connection, ResultFilter(**wanted)))

    assert count() == len(NASTY)
    assert count(job_id=filled) == len(NASTY)
    assert count(label="negative") == sum(number < 0.5 for number in NUMBERS)
    assert count(limit=3) == 3
    assert count(uncertain=50) == len(NASTY) - 1


def test_conditions_on_reviews_are_not_counted(database: Database, filled: int) -> None:
    with database.read() as connection:
        statement = result_statement(connection, ResultFilter())
        assert count_cheaply(connection, statement.where(Review.text.like("%emoji%"))) is None


def test_one_model_has_its_labels_and_several_have_none(
    database: Database, model: RegisteredModel, filled: int, new_job: Callable[..., Any]
) -> None:
    def labels(**wanted: Any) -> tuple[str, ...] | None:
        with database.read() as connection:
            return labels_of_one_model(connection, ResultFilter(**wanted))

    assert labels() == ("negative", "positive")
    with database.write() as connection:
        topics = facts("e" * 64, ("size", "colour"))
        other = register_model(connection, "topics", Path("/models/topics"), topics, kind="directory")
    assert labels() == ("negative", "positive"), "a model that has said nothing yet says nothing here"
    with database.write() as connection:
        (review_id,) = store_reviews(connection, "f.csv", [SomeReview("r", "text")])
        said = Verdict("size", 0.9, 0.8, {"size": 0.9, "colour": 0.1}, 3, False, "float32")
        store_predictions(connection, other.id, [Scored(review_id, filled, said)])
    assert labels() is None
    assert labels(job_id=filled) == ("negative", "positive")
    assert labels(model_id=other.id) == ("size", "colour")
