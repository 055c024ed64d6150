"""Corrections are kept once a review, version and annotator, however often they are stored."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select, update

import db.corrections
from db.checkpoint import CheckpointFacts
from db.corrections import (
    CorrectionFilter,
    FoundCorrection,
    NewCorrection,
    Stored,
    find_corrections,
    reviews_of,
    scored_sources,
    store_corrections,
)
from db.database import Database
from db.jobs import NewJob, create_job
from db.predictions import Scored, Verdict, store_predictions
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from db.tables import Correction, Prediction, Review
from tests.samples import SomeReview, verdict

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
Store = Callable[..., Stored]


@pytest.fixture
def ids(database: Database, model: RegisteredModel) -> list[int]:
    """Four reviews that the model has scored, the second of them negative."""
    with database.write() as connection:
        found = store_reviews(connection, "f.csv", [SomeReview(f"r{number}", f"text {number}") for number in range(4)])
        job_id, _ = create_job(connection, NewJob("score", {"source": "f.csv"}, [found], model_id=model.id))
        scored = [Scored(id_, job_id, verdict(0.2 if at == 1 else 0.9)) for at, id_ in enumerate(found)]
        store_predictions(connection, model.id, scored)
    return found


@pytest.fixture
def store(database: Database, model: RegisteredModel) -> Store:
    """Store corrections of the model's answers, given as (review id, label, annotator, time)."""

    def keep(*given: tuple[int, str, str, datetime | None]) -> Stored:
        with database.write() as connection:
            made = [
                NewCorrection(review_id, model.id, annotator, label, at) for review_id, label, annotator, at in given
            ]
            return store_corrections(connection, made)

    return keep


def kept(database: Database, **wanted: object) -> list[FoundCorrection]:
    with database.read() as connection:
        return list(find_corrections(connection, CorrectionFilter(**wanted)))  # type: ignore[arg-type]


def test_a_correction_tells_what_was_said_and_what_is_right(database: Database, ids: list[int], store: Store) -> None:
    assert store((ids[1], "positive", "ada", MONDAY)) == Stored(new=1)
    (found,) = kept(database)
    assert (found.source, found.external_id, found.text) == ("f.csv", "r1", "text 1")
    assert (found.model, found.predicted, found.label) == ("sentiment@1", "negative", "positive")
    assert (found.annotator, found.corrected_at) == ("ada", MONDAY)


def test_storing_them_again_changes_nothing(database: Database, ids: list[int], store: Store) -> None:
    given = [(ids[0], "positive", "ada", MONDAY), (ids[0], "negative", "bob", None), (ids[1], "positive", "ada", None)]
    assert store(*given) == Stored(new=3)
    before = kept(database)
    assert store(*given) == Stored(unchanged=3)
    assert kept(database) == before


def test_of_one_annotator_the_latest_counts(database: Database, ids: list[int], store: Store) -> None:
    store((ids[0], "positive", "ada", MONDAY))
    later, earlier = MONDAY + timedelta(hours=1), MONDAY - timedelta(hours=1)
    assert store((ids[0], "negative", "ada", earlier)) == Stored(outdated=1)
    assert [one.label for one in kept(database)] == ["positive"]
    assert store((ids[0], "negative", "ada", later)) == Stored(changed=1)
    assert [(one.label, one.corrected_at) for one in kept(database)] == [("negative", later)]


def test_an_annotator_who_stands_twice_in_a_file_counts_once(database: Database, ids: list[int], store: Store) -> None:
    later = MONDAY + timedelta(hours=1)
    given = [(ids[0], "negative", "ada", later), (ids[0], "positive", "ada", MONDAY)]
    assert store(*given) == Stored(new=1, outdated=1)
    assert [one.label for one in kept(database)] == ["negative"]


def test_without_a_time_it_is_now(database: Database, ids: list[int], store: Store) -> None:
    store((ids[0], "negative", "ada", None))
    (found,) = kept(database)
    assert abs(datetime.now(UTC) - found.corrected_at) < timedelta(minutes=5)


def test_what_was_said_outlives_the_prediction(
    database: Database, model: RegisteredModel, ids: list[int], store: Store
) -> None:
    store((ids[1], "positive", "ada", MONDAY))
    with database.write() as connection:
        connection.execute(delete(Prediction))
    store((ids[1], "negative", "ada", MONDAY + timedelta(hours=1)), (ids[2], "negative", "ada", MONDAY))
    assert {one.external_id: one.predicted for one in kept(database)} == {"r1": "negative", "r2": None}


def test_what_was_said_is_kept_by_the_kind_of_model(database: Database, ids: list[int]) -> None:
    kinds = {
        "topics": ("multi_label_classification", {"service": 0.7, "price": 0.5, "quality": 0.49}, "price|service"),
        "mark": ("regression", {"mark": 3.25}, "3.25"),
    }
    for name, (problem_type, values, said) in kinds.items():
        with database.write() as connection:
            facts = CheckpointFacts("bert", tuple(values), problem_type, 512, name)
            model = register_model(connection, name, Path("/m"), facts, kind="directory")
            job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
            top = max(values, key=lambda label: values[label])
            one = Verdict(top, values[top], None, values, 5, False, "float32")
            store_predictions(connection, model.id, [Scored(ids[0], job_id, one)])
            store_corrections(connection, [NewCorrection(ids[0], model.id, "ada", "1.0", MONDAY)])
        (found,) = kept(database, model_ids=[model.id])
        assert found.predicted == said


def test_corrections_are_found_latest_first_and_narrowed(
    database: Database, model: RegisteredModel, ids: list[int], store: Store
) -> None:
    store(*((id_, "positive", "ada", MONDAY + timedelta(days=at)) for at, id_ in enumerate(ids)))
    assert [one.external_id for one in kept(database)] == ["r3", "r2", "r1", "r0"]
    assert [one.external_id for one in kept(database, limit=1)] == ["r3"]
    assert [one.external_id for one in kept(database, since=MONDAY + timedelta(days=2))] == ["r3", "r2"]
    assert kept(database, model_ids=[model.id + 1]) == []


def test_reviews_are_found_by_the_names_that_labelling_tools_have(database: Database, ids: list[int]) -> None:
    with database.write() as connection:
        changed = store_reviews(connection, "f.csv", [SomeReview("r1", "another text")])
        store_reviews(connection, "unscored.csv", [SomeReview("r1", "text")])
        sources = scored_sources(connection)
        found = reviews_of(connection, sources, ["r1", "r9"])
    assert sources == ["f.csv"]
    assert [(one.id, one.external_id) for one in found] == [(ids[1], "r1"), (changed[0], "r1")]


def test_a_review_that_is_deleted_takes_its_corrections_along(database: Database, ids: list[int], store: Store) -> None:
    store((ids[0], "negative", "ada", MONDAY), (ids[1], "negative", "ada", MONDAY))
    with database.write() as connection:
        connection.execute(delete(Prediction).where(Prediction.review_id == ids[0]))
        connection.execute(delete(Review).where(Review.id == ids[0]))
        assert list(connection.scalars(select(Correction.review_id))) == [ids[1]]


def test_a_later_one_of_another_import_is_not_overwritten(
    database: Database, ids: list[int], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it came between the look at what there is and the writing."""
    look, late = db.corrections._stored_labels, MONDAY + timedelta(days=9)

    def look_and_be_overtaken(connection: Connection, review_ids: Collection[int]) -> Any:
        found = look(connection, review_ids)
        connection.execute(update(Correction).values(label="negative", corrected_at=late))
        return found

    store((ids[0], "positive", "ada", MONDAY))
    monkeypatch.setattr(db.corrections, "_stored_labels", look_and_be_overtaken)
    store((ids[0], "neutral", "ada", MONDAY + timedelta(days=1)))
    assert [one.label for one in kept(database)] == ["negative"]
