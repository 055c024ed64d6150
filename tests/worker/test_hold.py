"""A task holds the device while it has batches to begin, and another begins while its last ones are computed."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from db.registry import RegisteredModel
from worker.batching import BatchCutter
from worker.checkpoints.tokenizer import tokenize
from worker.context import WorkerContext
from worker.engines.base import Batch, BatchCosts
from worker.hold import Hold
from worker.inference import infer
from worker.last_minute import DeviceLock
from worker.models import LoadedModel
from worker.waiting import WaitingBatches

Add = Callable[..., RegisteredModel]


def is_free(device: DeviceLock) -> bool:
    """Whether another thread could have it."""

    def try_it() -> bool:
        got = device._lock.acquire(blocking=False)
        if got:
            device._lock.release()
        return got

    with ThreadPoolExecutor(1) as other:
        return other.submit(try_it).result()


def test_it_is_let_go_early_taken_again_and_let_go_at_the_end() -> None:
    device = DeviceLock()
    with Hold(device) as hold:
        assert not is_free(device)
        hold.let_go()
        hold.let_go()
        assert is_free(device)
        hold.take()
        hold.take()
        assert not is_free(device)
    assert is_free(device)


def test_an_error_lets_go() -> None:
    device = DeviceLock()
    with pytest.raises(ValueError, match="broken"), Hold(device):
        raise ValueError("broken")
    assert is_free(device)


def test_what_comes_in_between_does_not_let_go_for_the_task_around_it() -> None:
    device = DeviceLock()
    with Hold(device):
        with Hold(device) as inner:
            inner.let_go()
            assert not is_free(device)
        assert not is_free(device)


class Gated:
    """A device whose batches end when the test says so."""

    costs = BatchCosts()
    streams = 2

    def __init__(self, device: DeviceLock) -> None:
        self.device = device
        self.was_free: list[bool] = []
        self.begun, self.gate = threading.Semaphore(0), threading.Event()
        self.is_full = False
        self._pool = ThreadPoolExecutor(3)

    def start(self, batch: Batch):
        self.was_free.append(is_free(self.device))
        self.begun.release()
        return self._pool.submit(self.logits, batch).result

    def logits(self, batch: Batch) -> np.ndarray:
        assert self.gate.wait(20)
        if self.is_full:
            self.is_full = False
            raise MemoryError("no room")
        return np.zeros((len(batch.token_ids), 2), np.float32)


def gated(context: WorkerContext, add_checkpoint: Add) -> tuple[LoadedModel, Gated]:
    engine = Gated(context.device)
    loaded = context.models.get(add_checkpoint("bert").id)
    return replace(loaded, engine=engine, cutter=BatchCutter(BatchCosts(), 2)), engine


def wait_for(loaded: LoadedModel, reviews: int) -> WaitingBatches:
    encoded = tokenize(loaded.tokenizer, ["a wonderful film"] * reviews, None, 64)
    return WaitingBatches(encoded, loaded.budget, loaded.cutter, loaded.tokenizer.pad_token_id)


def test_the_next_tasks_batches_begin_while_the_last_ones_are_computed(
    context: WorkerContext, add_checkpoint: Add
) -> None:
    loaded, engine = gated(context, add_checkpoint)

    def run() -> int:
        with Hold(context.device) as hold:
            return infer(loaded, wait_for(loaded, 2), lambda _done: None, hold).answered

    with ThreadPoolExecutor(2) as tasks:
        both = [tasks.submit(run) for _ in range(2)]
        # A batch on each stream for each task, and none has ended.
        assert all(engine.begun.acquire(timeout=20) for _ in range(4))
        engine.gate.set()
        assert [task.result() for task in both] == [2, 2]
    assert is_free(context.device)


def test_what_failed_at_last_waits_for_the_device_again(context: WorkerContext, add_checkpoint: Add) -> None:
    loaded, engine = gated(context, add_checkpoint)
    engine.is_full = True
    engine.gate.set()
    with Hold(context.device) as hold:
        inferred = infer(loaded, wait_for(loaded, 8), lambda _done: None, hold)
    assert (inferred.answered, inferred.reasons) == (8, {})
    assert len(engine.was_free) > 2
    assert not any(engine.was_free)
    assert is_free(context.device)
