"""A worker's context around a real database, without a broker."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from broker.app import make_app
from db.checkpoint import read_checkpoint_facts
from db.claims import Claim, claim_chunk
from db.database import Database
from db.jobs import NewJob, create_job
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from tests.samples import CHECKPOINTS, SomeReview
from worker.context import WorkerContext
from worker.models import LoadedModels
from worker.settings import WorkerSettings


@pytest.fixture
def context(database: Database) -> WorkerContext:
    """A worker process on each kind of database in turn. Its Redis is not there."""
    # Long: a training that is traced on a busy machine must not lose its lease.
    settings = WorkerSettings(lease_s=30, token_budget=512, max_attempts=2)
    return WorkerContext(
        database, make_app("redis+socket:///nowhere"), settings, LoadedModels(database, settings, "cpu@here")
    )


@pytest.fixture
def add_checkpoint(database: Database) -> Callable[..., RegisteredModel]:
    """Register one of the small checkpoints, or a directory."""

    def add(name: str, directory: Path | None = None) -> RegisteredModel:
        directory = directory or CHECKPOINTS / name
        with database.write() as connection:
            return register_model(connection, name, directory, read_checkpoint_facts(directory), kind="directory")

    return add


@pytest.fixture
def make_chunk(database: Database) -> Callable[..., int]:
    """Store reviews and a scoring job of one chunk; returns the chunk's id."""

    def make(model_id: int | None, reviews: Sequence[SomeReview], source: str = "file.csv") -> int:
        with database.write() as connection:
            ids = store_reviews(connection, source, reviews)
            _, (chunk_id,) = create_job(connection, NewJob("score", {}, [ids], model_id=model_id))
        return chunk_id

    return make


@pytest.fixture
def claims(database: Database, make_chunk: Callable[..., int]) -> list[Claim]:
    """Three claimed chunks, of one, two and three reviews, of three jobs, without a model."""
    chunk_ids = [make_chunk(None, [SomeReview(str(n), f"text {n}") for n in range(size)]) for size in (1, 2, 3)]
    with database.write() as connection:
        claimed = [claim_chunk(connection, chunk_id, "me", 60) for chunk_id in chunk_ids]
    return [claim for claim in claimed if claim is not None]


@pytest.fixture
def claim(database: Database, make_chunk: Callable[..., int]) -> Claim:
    """A claimed chunk of two reviews, without a model."""
    chunk_id = make_chunk(None, [SomeReview("1", "good"), SomeReview("2", "bad")])
    with database.write() as connection:
        claimed = claim_chunk(connection, chunk_id, "me", 60)
    assert claimed is not None
    return claimed
