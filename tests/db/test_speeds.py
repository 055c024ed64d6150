"""How fast devices were is told by the chunks that they ended."""

import pytest
from sqlalchemy import update

from db.database import Database
from db.jobs import NewJob, create_job
from db.predictions import Scored, scored_texts, store_predictions
from db.registry import RegisteredModel
from db.reviews import load_reviews, store_reviews
from db.speeds import Speed, device_speeds
from db.tables import Chunk
from tests.samples import SomeReview, verdict


def ended(database: Database, model: RegisteredModel, device: str, *took: tuple[int, float], **changed: object) -> None:
    """A job whose chunks read so many tokens in so many seconds on the device."""
    with database.write() as connection:
        (review_id,) = store_reviews(connection, "f", [SomeReview("1", "good")])
        new = NewJob(str(changed.pop("kind", "score")), {}, [[review_id]] * len(took), model_id=model.id)
        _, chunk_ids = create_job(connection, new)
        for chunk_id, (tokens, device_s) in zip(chunk_ids, took, strict=True):
            values = {"state": "done", "device": device, "tokens": tokens, "device_s": device_s, **changed}
            connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(values))


def speeds(database: Database, model: RegisteredModel, *devices: str) -> dict[str, Speed]:
    with database.read() as connection:
        return device_speeds(connection, model.id, devices)


def test_a_speed_is_the_middle_half_of_what_full_chunks_took(database: Database, model: RegisteredModel) -> None:
    # 1000, 1250, 2000, 2500 and 4000 tokens a second; the sixth is too small to tell.
    ended(database, model, "cpu@a", (2000, 2.0), (2500, 2.0), (2000, 1.0), (2500, 1.0), (2000, 0.5), (9, 1.0))
    ended(database, model, "gpu0@b", (500, 0.25))
    # By numpy.percentile of those rates: 25% is 1250, 75% is 2500.
    assert speeds(database, model, "cpu@a", "gpu0@b", "cpu@c") == {
        "cpu@a": Speed(1250.0, 2500.0),
        "gpu0@b": Speed(2000.0, 2000.0),
    }
    assert set(speeds(database, model, "gpu0@b")) == {"gpu0@b"}


def test_the_latest_chunks_count(database: Database, model: RegisteredModel) -> None:
    ended(database, model, "cpu@a", *[(1000, 100.0)] * 200)
    ended(database, model, "cpu@a", *[(1000, 1.0)] * 200)
    assert speeds(database, model, "cpu@a") == {"cpu@a": Speed(1000.0, 1000.0)}


@pytest.mark.parametrize("changed", [{"state": "failed"}, {"tokens": 0}, {"device_s": 0.0}, {"kind": "finetune"}])
def test_what_tells_no_speed_is_left_out(
    database: Database, model: RegisteredModel, changed: dict[str, object]
) -> None:
    ended(database, model, "cpu@a", (1000, 1.0), **changed)
    assert speeds(database, model, "cpu@a") == {}


def test_texts_that_a_model_has_scored_are_known(database: Database, model: RegisteredModel) -> None:
    with database.write() as connection:
        ids = store_reviews(connection, "f", [SomeReview("1", "good"), SomeReview("2", "bad")])
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        store_predictions(connection, model.id, [Scored(ids[0], job_id, verdict(0.9))])
        hashes = [one.text_hash for one in load_reviews(connection, ids).values()]
        assert scored_texts(connection, model.id, hashes) == {load_reviews(connection, ids)[ids[0]].text_hash}
        assert scored_texts(connection, model.id + 1, hashes) == set()
