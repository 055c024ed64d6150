"""Batches are computed at once where an engine has streams, and each comes back with its own answer or error."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from worker.engines.base import Batch, BatchCosts
from worker.errors import StopRequested
from worker.streams import Taken, infer_batches

#: Rows for which the device below has no answer.
BROKEN = 13


class Device:
    """Answers with a batch's number of rows, after as many batches are there as it computes at once."""

    costs = BatchCosts()

    def __init__(self, streams: int, full: int) -> None:
        self.streams = streams
        self.most = self.ended = self._running = 0
        self._lock = threading.Lock()
        # The first `full` batches wait for each other, so that the test fails where they are not computed at once.
        self._full = full
        self._together = threading.Barrier(streams)
        self._pool = ThreadPoolExecutor(streams)

    def start(self, batch: Batch) -> Callable[[], np.ndarray]:
        return self._pool.submit(self.logits, batch).result

    def logits(self, batch: Batch) -> np.ndarray:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            waits = self._full > 0
            self._full -= 1
        if waits:
            self._together.wait(timeout=20)
        with self._lock:
            self._running -= 1
            self.ended += 1
        if len(batch.token_ids) == BROKEN:
            raise MemoryError("no room")
        return np.full((len(batch.token_ids), 2), len(batch.token_ids), np.float32)


class Slow(Device):
    """The same in its own time."""

    def logits(self, batch: Batch) -> np.ndarray:
        with self._lock:
            self._running += 1
        time.sleep(0.05)
        with self._lock:
            self._running -= 1
        return super().logits(batch)


def batches(rows: Sequence[int]) -> Callable[[], Taken | None]:
    """Batches of so many rows."""
    ids = [np.zeros((count, 4), np.int32) for count in rows]
    waiting = iter([(list(range(len(one))), Batch(one, one, one)) for one in ids])
    return lambda: next(waiting, None)


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_as_many_are_computed_at_once_as_there_are_streams(streams: int) -> None:
    device = Device(streams, full=2 * streams)
    ended = list(infer_batches(device, batches(range(1, 9))))
    assert device.most == streams
    assert [len(one.answer()) for one in ended] == list(range(1, 9))
    assert [one.answer()[0, 0] for one in ended] == list(range(1, 9))


@pytest.mark.parametrize("streams", [1, 2])
def test_an_error_is_its_own_batchs(streams: int) -> None:
    ended = list(infer_batches(Device(streams, full=0), batches([1, BROKEN, 2, 3])))
    assert [one.error is None for one in ended] == [True, False, True, True]
    with pytest.raises(MemoryError, match="no room"):
        ended[1].answer()


@pytest.mark.parametrize("streams", [1, 2])
def test_what_an_error_leads_to_is_inferred_too(streams: int) -> None:
    gives = [batches([BROKEN])]
    rows = []
    for ended in infer_batches(Device(streams, full=0), lambda: gives[-1]()):
        if ended.error:
            gives.append(batches([6, 7]))
        rows.append(len(ended.batch.token_ids))
    assert rows == [BROKEN, 6, 7]


@pytest.mark.parametrize("streams", [1, 2])
def test_what_ends_the_work_waits_for_what_is_computed(streams: int) -> None:
    device, give, taken = Slow(streams, full=0), batches([1, 2, 3, 4, 5, 6]), []

    def take() -> Taken | None:
        taken.append(True)
        if len(taken) == 5:
            raise StopRequested
        return give()

    ended = infer_batches(device, take)
    with pytest.raises(StopRequested):
        list(ended)
    assert (device._running, device.ended) == (0, 4)


def test_the_time_of_batches_at_once_is_counted_once() -> None:
    began = time.perf_counter()
    ended = list(infer_batches(Slow(2, full=0), batches([1] * 6)))
    passed = time.perf_counter() - began
    assert 0.14 < sum(one.until - one.since for one in ended) <= passed


def test_an_error_of_a_batchs_beginning_is_its_own_too() -> None:
    class Refusing(Device):
        def start(self, batch: Batch) -> Callable[[], np.ndarray]:
            if len(batch.token_ids) == BROKEN:
                raise ValueError("not with me")
            return super().start(batch)

    ended = list(infer_batches(Refusing(2, full=0), batches([1, BROKEN, 2])))
    assert [str(one.error or "") for one in ended] == ["", "not with me", ""]
