"""The token budget is where a device is at its fastest, found once and only for jobs that are worth it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from db.registry import RegisteredModel
from db.tables import TokenBudget
from tests.samples import SomeReview
from worker.batching import BatchCutter
from worker.budget_search import measure_budget
from worker.checkpoints.tokenizer import Encoded
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.base import Batch, BatchCosts
from worker.errors import StopRequested
from worker.models import LoadedModels
from worker.scoring import score_chunks

TYPICAL = Encoded(np.arange(20, dtype=np.int32), np.zeros(20, np.int32), 20, False)


class Device:
    """Takes `call_s` for every batch and `token_s` for each token, and no batch above `room` tokens."""

    def __init__(self, call_s: float, token_s: float, room: int = 1_000_000) -> None:
        self.call_s, self.token_s, self.room, self.now = call_s, token_s, room, 0.0
        self.sizes: list[int] = []

    def clock(self) -> float:
        return self.now

    def logits(self, batch: Batch) -> np.ndarray:
        self.sizes.append(batch.token_ids.size)
        if batch.token_ids.size > self.room:
            raise MemoryError("no room")
        # The first batch of a shape is slow everywhere.
        is_new = self.sizes.count(batch.token_ids.size) == 1
        self.now += (2.0 if is_new else 1.0) * (self.call_s + self.token_s * batch.token_ids.size)
        return np.zeros((len(batch.token_ids), 2), np.float32)

    def search(self, typical: Encoded = TYPICAL) -> int | None:
        return measure_budget(self, typical, 0, lambda: None, self.clock)


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (Device(call_s=0.0, token_s=1e-5), 512),  # larger batches bring nothing
        (Device(call_s=1e-3, token_s=1e-6), 16_384),  # a call costs as much as 1,000 tokens
        (Device(call_s=1e-3, token_s=1e-6, room=3_000), 2_048),  # of which it has no room for as many
        (Device(call_s=1e-3, token_s=1e-6, room=100), None),
        (Device(call_s=100.0, token_s=0.0), 512),  # so slow that the first batch takes all the time there is
    ],
)
def test_the_fewest_tokens_at_full_speed(device: Device, expected: int | None) -> None:
    assert device.search() == expected


def test_reviews_longer_than_the_smallest_batch() -> None:
    long = Encoded(np.zeros(700, np.int32), np.zeros(700, np.int32), 700, False)
    assert Device(call_s=0.0, token_s=1e-5).search(long) == 700


def test_a_search_ends_within_a_batch_when_the_worker_is_told_to_stop() -> None:
    device = Device(0.0, 1e-5)

    def stop_at_the_second() -> None:
        if device.sizes:
            raise StopRequested("stop")

    with pytest.raises(StopRequested):
        measure_budget(device, TYPICAL, 0, stop_at_the_second, device.clock)
    assert len(device.sizes) == 1


@pytest.fixture
def model(context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel]) -> RegisteredModel:
    context.settings = context.settings.model_copy(update={"token_budget": "auto", "search_from": 30})
    context.models = LoadedModels(context.database, context.settings, "cpu@here")
    return add_checkpoint("distilbert")


def score(context: WorkerContext, make_chunk: Callable[..., int], model_id: int, name: str, count: int) -> None:
    reviews = [SomeReview(f"{name}{number}", f"{name} {number} is a film") for number in range(count)]
    run_chunk(context, make_chunk(model_id, reviews), score_chunks)


def stored(context: WorkerContext) -> list[int]:
    with context.database.read() as connection:
        return list(connection.scalars(select(TokenBudget.tokens)))


def test_the_first_large_job_finds_it_and_every_process_knows_it(
    context: WorkerContext, model: RegisteredModel, make_chunk: Callable[..., int]
) -> None:
    loaded = context.models.get(model.id)
    assert (loaded.budget.tokens, loaded.budget.is_settled) == (2048, False)
    score(context, make_chunk, model.id, "small", 29)
    assert stored(context) == []
    score(context, make_chunk, model.id, "large", 30)
    assert stored(context) == [loaded.budget.tokens]
    assert loaded.budget.is_settled
    other = LoadedModels(context.database, context.settings, "cpu@here").get(model.id)
    assert (other.budget.tokens, other.budget.is_settled) == (loaded.budget.tokens, True)


def test_it_is_looked_for_once(context: WorkerContext, model: RegisteredModel, make_chunk: Callable[..., int]) -> None:
    loaded = context.models.get(model.id)
    device = Device(1e-3, 1e-6)
    context.models._places[model.id, "float32"].model = replace(loaded, engine=device, cutter=BatchCutter(BatchCosts()))
    score(context, make_chunk, model.id, "first", 30)
    searched = len(device.sizes)
    assert searched > 3
    score(context, make_chunk, model.id, "second", 30)
    assert len(device.sizes) == searched + 1  # the batch of the second job


def test_memory_that_runs_out_settles_it_too(
    context: WorkerContext, model: RegisteredModel, make_chunk: Callable[..., int]
) -> None:
    loaded = context.models.get(model.id)
    context.models._places[model.id, "float32"].model = replace(loaded, engine=Device(1e-3, 1e-6, room=100))
    score(context, make_chunk, model.id, "small", 20)
    assert stored(context) == [loaded.budget.tokens]
    assert loaded.budget.tokens <= 100
    score(context, make_chunk, model.id, "large", 30)
    assert loaded.budget.tokens <= 100


def test_a_number_is_an_order(context: WorkerContext, model: RegisteredModel, make_chunk: Callable[..., int]) -> None:
    settings = context.settings.model_copy(update={"token_budget": 512})
    context.models = LoadedModels(context.database, settings, "cpu@here")
    score(context, make_chunk, model.id, "large", 40)
    assert stored(context) == []
    assert context.models.get(model.id).budget.tokens == 512
