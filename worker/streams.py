"""Several batches at once: an engine that has several streams computes one on each, and none waits for another."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from worker.engines.base import Batch, Engine

#: The indices of the sequences of a batch, and the batch.
Taken = tuple[list[int], Batch]
Take = Callable[[], Taken | None]
#: Batches that wait behind those being computed, so that a stream finds its next one at once.
_AHEAD = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """A batch that was inferred: its logits, float32 [batch, classes], or the error that it ended with.

    The `device_s` of batches that were computed at once add up to the time that passed, not to more.
    """

    indices: list[int]
    batch: Batch
    device_s: float
    logits: np.ndarray | None
    error: Exception | None

    def answer(self) -> np.ndarray:
        """Its logits. Raises the error that it ended with."""
        if self.logits is None:
            raise self.error or AssertionError
        return self.logits


@dataclass(slots=True)
class _Flight:
    """A batch that is being computed, or is to be next."""

    indices: list[int]
    batch: Batch
    since: float
    logits: Future[np.ndarray]

    def end(self) -> Ended:
        """Wait for it."""
        error = self.logits.exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        logits = None if error else self.logits.result()
        return Ended(self.indices, self.batch, time.perf_counter() - self.since, logits, error)


def infer_batches(engine: Engine, take: Take) -> Iterator[Ended]:
    """Infer what `take` gives until it has no more, in the order in which it was given.

    What is made of a batch that ended may let `take` give more. What `take` raises ends the work, when the batches
    that are being computed have ended too.
    """
    if engine.streams > 1:
        yield from _at_once(engine, take)
        return
    while (taken := take()) is not None:
        yield _alone(engine, taken)


def _alone(engine: Engine, taken: Taken) -> Ended:
    indices, batch = taken
    began = time.perf_counter()
    logits, failed = None, None
    try:
        logits = engine.logits(batch)
    except Exception as error:
        failed = error
    return Ended(indices, batch, time.perf_counter() - began, logits, failed)


def _at_once(engine: Engine, take: Take) -> Iterator[Ended]:
    flights: deque[_Flight] = deque()
    with ThreadPoolExecutor(engine.streams, "infer") as pool:
        try:
            while True:
                _fill(flights, engine, pool, take)
                if not flights:
                    return
                ended = flights.popleft().end()
                for behind in flights:
                    behind.since = time.perf_counter()
                yield ended
        finally:
            for flight in flights:
                flight.logits.cancel()


def _fill(flights: deque[_Flight], engine: Engine, pool: ThreadPoolExecutor, take: Take) -> None:
    while len(flights) < engine.streams + _AHEAD:
        taken = take()
        now = time.perf_counter()
        # Taking a batch may take its time, in which the device serves somebody else: it is not these batches' time.
        for flight in flights:
            flight.since = now
        if taken is None:
            return
        flights.append(_Flight(*taken, now, pool.submit(engine.logits, taken[1])))
