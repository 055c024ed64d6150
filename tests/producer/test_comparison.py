"""Reviews to be scored by two models: of a source, with or without labels, or of a job of either kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from db.database import Database
from db.errors import UnknownJob
from db.jobs import NewJob, create_job, job_status, refused_rows
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from db.tables import Chunk, Job
from producer.comparison import Compared, compared_of_job, compared_of_source
from producer.enqueue import Doorway
from producer.errors import LabelError
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import open_source
from tests.samples import SomeReview, facts

CSV = "key,body,stars\n1,good,positive\n2,  ,negative\n3,fair,\n4,bad,negative\n"
COLUMNS = Columns("body", id="key", label="stars")
Take = Callable[..., Compared]


@pytest.fixture
def doorway(database: Database) -> Doorway:
    return Doorway(database, None, ProducerSettings(chunk_size=2))


@pytest.fixture
def models(database: Database) -> list[RegisteredModel]:
    with database.write() as connection:
        return [register_model(connection, "m", Path("/m"), facts(digest), kind="directory") for digest in "12"]


@pytest.fixture
def take(database: Database, tmp_path: Path) -> Take:
    """Take in the csv, with these columns and possible labels."""
    path = tmp_path / "reviews.csv"
    path.write_text(CSV)

    def read(columns: Columns = COLUMNS, possible: list[str] | None = None, **more: Any) -> Compared:
        return compared_of_source(database, open_source(str(path)), columns, possible, ProducerSettings(), **more)

    return read


def test_rows_without_a_label_are_compared_too(doorway: Doorway, models: list[RegisteredModel], take: Take) -> None:
    compared = take(possible=["negative", "positive"])
    first, _, last = compared.intake.review_ids
    assert compared.labels == {first: "positive", last: "negative"}
    jobs = [compared.scored_by(model, doorway, f"m@alias-{model.version}") for model in models]
    with doorway.database.read() as connection:
        for job_id, model in zip(jobs, models, strict=True):
            job = job_status(connection, job_id)
            assert (job.kind, job.model_id, job.total, job.failed, job.chunks) == ("score", model.id, 4, 1, 2)
            asked = f"m@alias-{model.version}"
            assert (job.params["model"], job.params["model_as_asked"]) == (model.reference, asked)
            assert (job.params["text_column"], job.params["id_column"]) == ("body", "key")
            (failure,) = refused_rows(connection, job_id)
            assert (failure["row"], failure["external_id"]) == (3, "2")


def test_labels_are_only_read_where_they_are_named(take: Take) -> None:
    assert take(Columns("body")).labels == {}
    assert take(limit=1).labels.keys() == {*take(limit=1).intake.review_ids}


def test_labels_of_which_none_can_be_right_are_refused(take: Take) -> None:
    with pytest.raises(LabelError, match=r"none of the labels in 'stars' \(negative, positive\).* are: 1, 2, 3, 4, 5"):
        take(possible=["5", "4", "3", "2", "1"])
    assert len(take(possible=["positive", "neutral"]).labels) == 2
    assert len(take(possible=None).labels) == 2


def test_a_job_that_one_of_the_models_does_is_not_done_again(
    doorway: Doorway, models: list[RegisteredModel], take: Take
) -> None:
    own = take().scored_by(models[0], doorway)
    compared = compared_of_job(doorway.database, own)
    assert list(compared.intake.review_ids) == list(take().intake.review_ids)
    assert compared.scored_by(models[0], doorway) == own
    other = compared.scored_by(models[1], doorway)
    with doorway.database.read() as connection:
        job = job_status(connection, other)
        assert (job.model_id, job.total, job.chunks, job.failed) == (models[1].id, 3, 2, 0)
        assert job.params["source"] == job_status(connection, own).params["source"]


def test_both_models_read_long_texts_as_was_asked(doorway: Doorway, models: list[RegisteredModel], take: Take) -> None:
    for asked, more in (("truncate", {}), ("window", {"long": "window"})):
        own = take(**more).scored_by(models[0], doorway)
        other = compared_of_job(doorway.database, own).scored_by(models[1], doorway)
        with doorway.database.read() as connection:
            assert [job_status(connection, job_id).params["long"] for job_id in (own, other)] == [asked] * 2


def test_the_reviews_of_a_fine_tuning_job_are_scored_by_both(doorway: Doorway, models: list[RegisteredModel]) -> None:
    params = {"source": "f.csv", "text_column": "body", "label_column": "stars", "epochs": 3, "steps": 9}
    with doorway.database.write() as connection:
        ids = store_reviews(connection, "f.csv", [SomeReview(str(n), f"text {n}") for n in range(5)])
        training, _ = create_job(connection, NewJob("finetune", params, [ids], model_id=models[0].id))
    compared = compared_of_job(doorway.database, training)
    scoring = compared.scored_by(models[0], doorway)
    assert scoring != training
    with doorway.database.read() as connection:
        sizes = list(connection.scalars(select(Chunk.size).where(Chunk.job_id == scoring).order_by(Chunk.position)))
        assert job_status(connection, scoring).params == {"source": "f.csv", "text_column": "body", "model": "m@1"}
    assert sizes == [2, 2, 1]


def test_an_unknown_job_makes_none(database: Database) -> None:
    with pytest.raises(UnknownJob, match="there is no job 7"):
        compared_of_job(database, 7)
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Job)) == 0
