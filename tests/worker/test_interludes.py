"""Small jobs are let in between the batches of a large chunk, and slow it down to half its pace at most."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, update

from db.claims import Claim, claim_chunk, finish_chunk
from db.jobs import NewJob, cancel_job, create_job, job_status, settle_job
from db.registry import RegisteredModel
from db.reviews import store_reviews
from db.tables import Chunk, Prediction
from tests.samples import SomeReview
from worker import interludes, models
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.base import Batch
from worker.engines.choose import load_engine
from worker.engines.null import NullEngine
from worker.interludes import Interludes
from worker.lease import Heartbeat
from worker.models import LoadedModels
from worker.scoring import score_chunks

Enqueue = Callable[..., int]
_CHUNK_SIZE, _SMALL = 100, 10


@pytest.fixture
def model(context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel]) -> RegisteredModel:
    """A model for the null engine, in batches of a few reviews; small chunks are looked for before each."""
    context.settings = context.settings.model_copy(
        update={"engine": "null", "chunk_size": _CHUNK_SIZE, "token_budget": 64}
    )
    context.models = LoadedModels(context.database, context.settings, "cpu@here")
    return add_checkpoint("bert")


@pytest.fixture(autouse=True)
def _always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interludes, "_LOOK_S", 0.0)


@pytest.fixture
def enqueue(context: WorkerContext, model: RegisteredModel) -> Enqueue:
    """Make a job of one chunk of so many reviews; return its id, which is its chunk's too."""

    def make(size: int, priority: str = "normal", chunks: int = 1) -> int:
        with context.database.write() as connection:
            reviews = [SomeReview(f"{size}-{number}", f"number {number} of {size}") for number in range(size)]
            ids = store_reviews(connection, f"{size}.csv", reviews)
            new = NewJob("score", {}, [ids] * chunks, model_id=model.id, priority=priority)
            return create_job(connection, new)[0]

    return make


@pytest.fixture
def large(context: WorkerContext, enqueue: Enqueue) -> Claim:
    """A full chunk of normal priority under work."""
    return claim_of(context, enqueue(_CHUNK_SIZE))


def claim_of(context: WorkerContext, job_id: int) -> Claim:
    with context.database.write() as connection:
        chunk_id = connection.scalar(select(Chunk.id).where(Chunk.job_id == job_id, Chunk.state == "pending").limit(1))
        claim = claim_chunk(connection, chunk_id or 0, "me", 60)
    assert claim is not None
    return claim


@dataclass
class Served:
    """Work that takes its time, and keeps the jobs in the order in which they were served."""

    takes_s: float = 0.0
    jobs: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, context: WorkerContext, claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        self.jobs.append(tuple(claim.job_id for claim in claims))
        time.sleep(self.takes_s)
        with context.database.write() as connection:
            for claim in claims:
                finish_chunk(connection, claim, scored=len(claim.review_ids))
                settle_job(connection, claim.job_id)


def play(context: WorkerContext, claim: Claim, times: int = 1) -> list[tuple[int, ...]]:
    """Work on what is let in beside the claim, so many times; return the jobs."""
    served = Served()
    for _ in range(times):
        Interludes(context, [claim], served).play()
    return served.jobs


def test_a_small_job_that_comes_in_mid_chunk_is_done_before_the_chunk(
    context: WorkerContext, model: RegisteredModel, enqueue: Enqueue
) -> None:
    seen: list[tuple[str, str]] = []

    class Watched(NullEngine):
        """After the third batch a small job comes; it is looked at before each later one."""

        batches, small = 0, 0

        def logits(self, batch: Batch) -> np.ndarray:
            self.batches += 1
            if self.batches == 3:
                self.small = enqueue(_SMALL)
            if self.small:
                with context.database.read() as connection:
                    seen.append(tuple(job_status(connection, id_).state for id_ in (large, self.small)))
            return super().logits(batch)

    large = enqueue(_CHUNK_SIZE)
    loaded = context.models.get(model.id)
    context.models._places[model.id, loaded.precision].model = replace(loaded, engine=Watched(3))
    run_chunk(context, large, score_chunks)
    # What is seen in between is seen by the small job's own batches.
    assert seen[0] == ("running", "pending")
    assert seen[1] == ("running", "running")
    assert seen[-1] == ("running", "done")
    assert len([one for one in seen if one == ("running", "done")]) > 5
    with context.database.read() as connection:
        assert [job_status(connection, id_).scored for id_ in (large, large + 1)] == [_CHUNK_SIZE, _SMALL]
        assert len(list(connection.scalars(select(Prediction.review_id)))) == _CHUNK_SIZE + _SMALL
    assert context.held == {}


def test_only_small_chunks_of_jobs_that_wait_are_let_in(context: WorkerContext, enqueue: Enqueue, large: Claim) -> None:
    enqueue(_SMALL + 1)
    served = enqueue(_SMALL, chunks=2)
    claim_of(context, served)
    waits, cancelled, again = (enqueue(_SMALL) for _ in range(3))
    with context.database.write() as connection:
        cancel_job(connection, cancelled)
        connection.execute(update(Chunk).where(Chunk.job_id == waits).values(deaths=1))
    assert play(context, large, times=4) == [(again,)]


def test_the_smallest_go_together(context: WorkerContext, enqueue: Enqueue, large: Claim) -> None:
    first, second, third = (enqueue(4) for _ in range(3))
    assert play(context, large, times=3) == [(first, second), (third,)]


def test_lower_priorities_are_not_let_in_and_higher_ones_first(
    context: WorkerContext, enqueue: Enqueue, large: Claim
) -> None:
    _, normal, high = (enqueue(_SMALL, priority) for priority in ("low", "normal", "high"))
    assert play(context, large, times=4) == [(high,), (normal,)]


@pytest.mark.parametrize("suspicion", [{"deaths": 1}, {"alone": True}])
def test_a_suspect_is_not_interrupted(
    context: WorkerContext, enqueue: Enqueue, large: Claim, suspicion: dict[str, object]
) -> None:
    enqueue(_SMALL)
    assert play(context, replace(large, **suspicion)) == []  # type: ignore[arg-type]


def test_small_work_is_not_interrupted(context: WorkerContext, enqueue: Enqueue) -> None:
    small = claim_of(context, enqueue(_SMALL))
    enqueue(_SMALL)
    assert play(context, small) == []


def test_the_device_does_not_idle_behind_a_model_that_is_loaded(
    context: WorkerContext, model: RegisteredModel, enqueue: Enqueue, large: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = enqueue(_SMALL)
    loads, may_go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        loads.set()
        assert may_go_on.wait(60)
        return load_engine(*arguments)

    monkeypatch.setattr(models, "load_engine", slow)
    loader = threading.Thread(target=context.models.get, args=[model.id])
    loader.start()
    try:
        assert loads.wait(60)
        assert play(context, large) == []
    finally:
        may_go_on.set()
        loader.join()
    assert play(context, large) == [(waits,)]


def test_the_large_chunk_keeps_half_of_the_time(context: WorkerContext, enqueue: Enqueue, large: Claim) -> None:
    for _ in range(4):
        enqueue(_SMALL)
    served = Served(takes_s=0.2)
    between = Interludes(context, [large], served)
    played: list[tuple[float, float]] = []
    deadline = time.monotonic() + 30
    while len(played) < 4:
        began = time.monotonic()
        assert began < deadline
        between.play()
        if len(served.jobs) > len(played):
            played.append((began, time.monotonic()))
        time.sleep(0.005)  # a batch
    for (began, ended), (next_began, _) in pairwise(played):
        assert next_began - ended > 0.95 * (ended - began)


def test_what_goes_wrong_in_between_is_not_the_large_chunks(
    context: WorkerContext, enqueue: Enqueue, large: Claim
) -> None:
    small = enqueue(_SMALL)

    def failing(_context: WorkerContext, _claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        raise RuntimeError("the model sneezed")

    Interludes(context, [large], failing).play()
    with context.database.read() as connection:
        columns = (Chunk.job_id, Chunk.state, Chunk.errors)
        chunks = [tuple(row) for row in connection.execute(select(*columns).order_by(Chunk.id))]
    assert chunks == [(large.job_id, "leased", 0), (small, "pending", 1)]
