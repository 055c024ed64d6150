"""Reviews, models and jobs to fill a database with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from db.claims import Claim, claim_chunk
from db.database import Database
from db.jobs import NewJob, create_job
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from tests.samples import SomeReview, facts


@pytest.fixture
def model(database: Database) -> RegisteredModel:
    with database.write() as connection:
        return register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")


@pytest.fixture
def new_job(database: Database, model: RegisteredModel) -> Callable[..., tuple[int, list[int]]]:
    """Make a scoring job of so many chunks of two reviews; returns its id and its chunks' ids."""

    def make(chunks: int = 1, **fields: object) -> tuple[int, list[int]]:
        reviews = [SomeReview(str(number), f"text {number}") for number in range(2 * chunks)]
        with database.write() as connection:
            ids = store_reviews(connection, "file.csv", reviews)
            parts = [ids[at : at + 2] for at in range(0, len(ids), 2)]
            return create_job(connection, NewJob("score", {}, parts, model_id=model.id, **fields))  # type: ignore[arg-type]

    return make


@pytest.fixture
def claim(database: Database) -> Callable[..., Claim | None]:
    """Claim a chunk as somebody."""

    def take(chunk_id: int, owner: str = "me", lease_s: float = 60.0) -> Claim | None:
        with database.write() as connection:
            return claim_chunk(connection, chunk_id, owner, lease_s)

    return take
