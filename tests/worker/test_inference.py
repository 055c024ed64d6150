"""What goes wrong in a batch stays there: its reviews are scored all the same, but for those that cannot be."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, update

from db.clock import utc_now
from db.database import Database
from db.jobs import job_status, refused_rows
from db.registry import RegisteredModel
from db.tables import Chunk, Failure, Prediction
from tests.poison import WORD, make_poisoned_checkpoint
from tests.samples import SomeReview
from worker.batching import BatchCutter
from worker.checkpoints.tokenizer import Encoded, tokenize
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.base import Batch, BatchCosts
from worker.hold import Hold
from worker.inference import infer
from worker.last_minute import DeviceLock
from worker.models import LoadedModel, LoadedModels
from worker.scoring import score_chunks
from worker.waiting import WaitingBatches

Add = Callable[..., RegisteredModel]
Make = Callable[..., int]


class Small:
    """A real engine on a device of which each stream takes so many tokens, and remembers what it was given."""

    def __init__(self, engine: object, tokens: int, streams: int = 1) -> None:
        self.engine, self.tokens, self.streams, self.batches = engine, tokens, streams, []

    def start(self, batch: Batch) -> Callable[[], np.ndarray]:
        return partial(self.logits, batch)

    def logits(self, batch: Batch) -> np.ndarray:
        self.batches.append(batch.token_ids.size)
        if batch.token_ids.size > self.tokens:
            raise MemoryError("no room for so many tokens")
        return self.engine.logits(batch)  # type: ignore[attr-defined]


class Crowded(Small):
    """One that has no room for batches as wide as `tokens` until a narrower one is done."""

    def logits(self, batch: Batch) -> np.ndarray:
        narrower = any(width < self.tokens for width in self.batches)
        self.batches.append(batch.token_ids.shape[1])
        if self.batches[-1] >= self.tokens and not narrower:
            raise RuntimeError("can't alloc")
        return self.engine.logits(batch)  # type: ignore[attr-defined]


@pytest.fixture
def poisoned(add_checkpoint: Add, tmp_path: Path) -> RegisteredModel:
    return add_checkpoint("poisoned", make_poisoned_checkpoint(tmp_path / "poisoned"))


@pytest.fixture
def loaded(context: WorkerContext, add_checkpoint: Add) -> LoadedModel:
    return context.models.get(add_checkpoint("bert").id)


def waiting(loaded: LoadedModel, encoded: list[Encoded]) -> WaitingBatches:
    return WaitingBatches(encoded, loaded.budget, loaded.cutter, loaded.tokenizer.pad_token_id)


def job(database: Database) -> tuple:
    with database.read() as connection:
        one = job_status(connection, 1)
        return one, refused_rows(connection, 1, limit=2_000)


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ("openvino", "token 218 has no embedding: the model knows 218 tokens"),
        ("tensorflow", "is not in [0, 218)"),
    ],
)
def test_one_poison_review_in_a_thousand(
    context: WorkerContext, poisoned: RegisteredModel, make_chunk: Make, engine: str, reason: str
) -> None:
    context.models._settings = context.settings.model_copy(update={"engine": engine})
    reviews = [SomeReview(str(number), f"a wonderful film number {number}") for number in range(1_000)]
    reviews[371] = SomeReview("371", f"a {WORD} film")
    run_chunk(context, make_chunk(poisoned.id, reviews), score_chunks)
    one, failures = job(context.database)
    assert (one.state, one.scored, one.failed, one.total) == ("done", 999, 1, 1_000)
    assert [failure["external_id"] for failure in failures] == ["371"]
    assert "fails on this review alone" in failures[0]["reason"]
    assert reason in failures[0]["reason"]
    with context.database.read() as connection:
        assert len(list(connection.scalars(select(Prediction.review_id)))) == 999
        assert len(list(connection.scalars(select(Failure.review_id)))) == 1


def test_the_neighbours_get_the_numbers_they_always_get(
    context: WorkerContext, poisoned: RegisteredModel, loaded: LoadedModel
) -> None:
    texts = [f"a wonderful film number {number}" for number in range(40)]
    spoiled = context.models.get(poisoned.id)
    encoded = tokenize(spoiled.tokenizer, [*texts[:17], WORD, *texts[17:]], None, 64)
    hold = Hold(DeviceLock())
    inferred = infer(spoiled, waiting(spoiled, encoded), lambda done: None, hold)
    plain = infer(loaded, waiting(loaded, tokenize(loaded.tokenizer, texts, None, 64)), lambda done: None, hold)
    assert list(inferred.reasons) == [17]
    left = inferred.logits([index for index in range(41) if index != 17])
    np.testing.assert_allclose(left, plain.logits(range(40)), atol=1e-5)


def test_a_model_that_fails_on_everything_is_not_the_reviews_fault(
    context: WorkerContext, poisoned: RegisteredModel, make_chunk: Make
) -> None:
    reviews = [SomeReview(str(number), f"{WORD} {number}") for number in range(200)]
    chunk_id = make_chunk(poisoned.id, reviews)
    run_chunk(context, chunk_id, score_chunks)
    with context.database.write() as connection:
        first = connection.execute(select(Chunk.state, Chunk.errors)).one()
        connection.execute(update(Chunk).values(next_attempt_at=utc_now(-1)))
    assert tuple(first) == ("pending", 1)
    run_chunk(context, chunk_id, score_chunks)
    one, failures = job(context.database)
    assert (one.state, one.failed, failures) == ("failed", 200, [])
    assert "token 218 has no embedding" in one.error


@pytest.mark.parametrize("streams", [1, 2])
def test_out_of_memory_halves_the_budget_and_goes_on(
    context: WorkerContext, loaded: LoadedModel, make_chunk: Make, streams: int
) -> None:
    small = Small(loaded.engine, 100, streams)
    cutter = BatchCutter(BatchCosts(), streams)
    context.models._places[loaded.record.id, "float32"].model = replace(loaded, engine=small, cutter=cutter)
    reviews = [SomeReview(str(number), f"a wonderful film number {number}") for number in range(200)]
    assert loaded.budget.tokens == context.settings.token_budget == 512
    run_chunk(context, make_chunk(loaded.record.id, reviews), score_chunks)
    one, failures = job(context.database)
    assert (one.state, one.scored, failures) == ("done", 200, [])
    assert 50 * streams < loaded.budget.tokens <= 100 * streams
    refused = [size for size in small.batches if size > 100]
    # A halving each, not a failure for each batch, but for those that were under way.
    assert len(refused) <= 3 * (1 if streams == 1 else streams + 1)
    assert sorted(small.batches[: len(refused)]) == sorted(refused)


def test_what_inferring_took_is_noted_with_the_chunks_end(
    context: WorkerContext, loaded: LoadedModel, make_chunk: Make
) -> None:
    small = Small(loaded.engine, tokens=100)
    context.models._places[loaded.record.id, "float32"].model = replace(loaded, engine=small)
    reviews = [SomeReview(str(number), f"film {number} " * (number % 3 + 1)) for number in range(60)]
    chunk_id = make_chunk(loaded.record.id, reviews)
    began = time.perf_counter()
    run_chunk(context, chunk_id, score_chunks)
    took_s = time.perf_counter() - began
    with context.database.read() as connection:
        effort = connection.execute(select(Chunk.device, Chunk.device_s, Chunk.tokens, Chunk.batch_tokens)).one()
        read = connection.scalar(select(func.sum(Prediction.tokens)))
    assert (effort.device, effort.tokens) == ("cpu@here", read)
    # Batches that did not fit took time and read nothing.
    assert max(small.batches) > 100
    assert effort.batch_tokens == sum(size for size in small.batches if size <= 100)
    assert 0 < effort.device_s < took_s


def test_a_batch_that_is_padded_to_a_shape_that_was_met_counts_all_of_it(
    context: WorkerContext, loaded: LoadedModel, make_chunk: Make
) -> None:
    small, cutter = Small(loaded.engine, tokens=100), BatchCutter(BatchCosts(shape=80))
    context.models._places[loaded.record.id, "float32"].model = replace(loaded, engine=small, cutter=cutter)
    assert cutter.shapes.choose(3, 30, 512, in_long_job=False) == (3, 30)
    run_chunk(
        context, make_chunk(loaded.record.id, [SomeReview("1", "good film"), SomeReview("2", "bad")]), score_chunks
    )
    one, failures = job(context.database)
    assert (one.state, one.scored, failures) == ("done", 2, [])
    assert small.batches == [90]
    with context.database.read() as connection:
        assert connection.execute(select(Chunk.tokens, Chunk.batch_tokens)).one() == (10, 90)


def test_the_budget_is_remembered_for_that_model_and_device(
    context: WorkerContext, loaded: LoadedModel, add_checkpoint: Add
) -> None:
    loaded.budget.halve(300)
    context.models._places.clear()
    assert context.models.get(loaded.record.id).budget.tokens == 150
    assert context.models.get(add_checkpoint("distilbert").id).budget.tokens == 512
    elsewhere = LoadedModels(context.database, context.settings, "cpu@there")
    assert elsewhere.get(loaded.record.id).budget.tokens == 512


def test_a_review_that_alone_had_no_memory_is_tried_again_at_the_end(
    context: WorkerContext, loaded: LoadedModel, make_chunk: Make
) -> None:
    crowded = Crowded(loaded.engine, tokens=30)
    context.models._places[loaded.record.id, "float32"].model = replace(loaded, engine=crowded)
    reviews = [SomeReview(str(number), f"film {number}" + " terrible" * 40 * (number < 2)) for number in range(9)]
    run_chunk(context, make_chunk(loaded.record.id, reviews), score_chunks)
    one, failures = job(context.database)
    assert (one.state, one.scored, failures) == ("done", 9, [])
    # Both failed together, then each alone, and were done when all else was.
    assert [wide for wide, _ in groupby(width >= 30 for width in crowded.batches)] == [True, False, True]
    assert [width >= 30 for width in crowded.batches[-2:]] == [True, True]


def test_a_review_too_large_for_the_device_is_a_failure(
    context: WorkerContext, loaded: LoadedModel, make_chunk: Make
) -> None:
    context.models._places[loaded.record.id, "float32"].model = replace(loaded, engine=Small(loaded.engine, tokens=12))
    reviews = [SomeReview("short", "wonderful film"), SomeReview("long", "terrible " * 40), SomeReview("3", "good")]
    run_chunk(context, make_chunk(loaded.record.id, reviews), score_chunks)
    one, failures = job(context.database)
    assert (one.state, one.scored, one.failed) == ("done", 2, 1)
    assert failures[0]["external_id"] == "long"
    assert "MemoryError: no room for so many tokens" in failures[0]["reason"]
