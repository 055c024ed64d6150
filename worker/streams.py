"""Several batches at once: an engine that has several streams computes one on each, and none waits for another."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import numpy as np

from worker.engines.base import Batch, Engine, StreamingEngine, streams_of

#: The indices of the sequences of a batch, and the batch.
Taken = tuple[list[int], Batch]
Take = Callable[[], Taken | None]
_Start = Callable[[Batch], Callable[[], np.ndarray]]
#: Batches that wait behind those being computed, so that a stream finds its next one at once.
_AHEAD = 1


@dataclass(frozen=True, slots=True)
class Ended:
    """A batch that was inferred: the logits of its sequences, float32 [sequences, classes], or the error it ended with.

    It was computed from `since` to `until`, seconds of a clock. Of batches that were computed at once, each begins
    where the one before ended: so their times add up to the time that passed, not to more.
    """

    indices: list[int]
    batch: Batch
    since: float
    until: float
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
    logits: Callable[[], np.ndarray]

    def end(self) -> Ended:
        """Wait for it."""
        logits, failed = None, None
        try:
            logits = self.logits()[: len(self.indices)]  # rows of padding may follow
        except Exception as error:
            failed = error
        return Ended(self.indices, self.batch, self.since, time.perf_counter(), logits, failed)


def infer_batches(engine: Engine, take: Take) -> Iterator[Ended]:
    """Infer what `take` gives until it has no more, in the order in which it was given.

    What is made of a batch that ended may let `take` give more. What `take` raises ends the work, when the batches
    that are being computed have ended too.
    """
    flights: deque[_Flight] = deque()
    streams, start = streams_of(engine), _start_of(engine)
    most = streams + (_AHEAD if streams > 1 else 0)
    try:
        while True:
            _fill(flights, most, start, take)
            if not flights:
                return
            ended = flights.popleft().end()
            _count_from_now(flights)
            yield ended
    finally:
        for flight in flights:
            flight.end()


def _fill(flights: deque[_Flight], most: int, start: _Start, take: Take) -> None:
    while len(flights) < most:
        taken = take()
        # Taking a batch may take its time, in which the device serves somebody else: it is not these batches' time.
        _count_from_now(flights)
        if taken is None:
            return
        indices, batch = taken
        flights.append(_Flight(indices, batch, time.perf_counter(), _started(start, batch)))


def _start_of(engine: Engine) -> _Start:
    if isinstance(engine, StreamingEngine):
        return engine.start
    return lambda batch: partial(engine.logits, batch)


def _started(start: _Start, batch: Batch) -> Callable[[], np.ndarray]:
    """Waits for the batch's logits. An error of its beginning is the batch's too."""
    try:
        return start(batch)
    except Exception as error:
        return partial(_raise, error)


def _raise(error: Exception) -> NoReturn:
    raise error


def _count_from_now(flights: deque[_Flight]) -> None:
    for flight in flights:
        flight.since = time.perf_counter()
