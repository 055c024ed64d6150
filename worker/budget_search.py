"""Finding how many tokens a batch should have: more in one batch is faster, up to a point that differs by device."""

import time
from collections.abc import Callable

import structlog

from worker.batching import collate
from worker.checkpoints.tokenizer import Encoded
from worker.engines.base import Batch, Engine, streams_of
from worker.errors import reason_of
from worker.streams import Take, infer_batches

#: Tokens of the first batch tried, and of the last; each has twice as many as the one before.
_SMALLEST, _LARGEST = 512, 131_072
#: Seconds after which no larger batch is tried: a slow device is at its fastest with few tokens anyway.
_SECONDS = 4.0
#: A batch twice as large that is not faster by this factor is not worth its memory.
_WORTH_IT = 1.03
#: Runs of each batch that count, after one that prepares for its shape; the fastest is taken.
_RUNS = 2

log = structlog.get_logger()


def measure_budget(
    engine: Engine,
    typical: Encoded,
    padding_id: int,
    before_batch: Callable[[], None],
    clock: Callable[[], float] = time.perf_counter,
) -> int | None:
    """The fewest tokens of a batch with which the engine is about at its fastest, None if not one batch succeeds.

    Batches of one review over and over, `typical` in length for what is to be scored, are inferred for a few
    seconds, one on each stream, each twice as large as the one before, until that brings no more tokens a second or
    fails. The tokens are those of all streams together. What `before_batch` raises ends the search.
    """
    deadline = clock() + _SECONDS
    best: tuple[int, float] | None = None
    tokens = max(_SMALLEST, typical.length)
    while tokens <= _LARGEST:
        rows = max(1, tokens // streams_of(engine) // typical.length)
        pace = _pace(engine, collate([typical] * rows, padding_id), before_batch, clock)
        if pace is None or (best is not None and pace < _WORTH_IT * best[1]):
            break
        best = tokens, pace
        if clock() > deadline:
            break
        tokens *= 2
    return best and best[0]


def _pace(engine: Engine, batch: Batch, before_batch: Callable[[], None], clock: Callable[[], float]) -> float | None:
    """Tokens a second, or None where the batch fails, for want of memory say."""
    times = []
    for _ in range(1 + _RUNS):
        before_batch()
        began = clock()
        for ended in infer_batches(engine, _each_stream(engine, batch)):
            if ended.error is not None:
                reason = reason_of(ended.error)
                log.warning("batch failed in the search", action="budget_search_ended", reason=reason)
                return None
        times.append(clock() - began)
    return streams_of(engine) * batch.token_ids.size / min(times[1:])


def _each_stream(engine: Engine, batch: Batch) -> Take:
    """The batch, once for each stream."""
    all_rows = list(range(len(batch.token_ids)))
    waiting = iter([(all_rows, batch)] * streams_of(engine))
    return lambda: next(waiting, None)
