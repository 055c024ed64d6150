"""Inferring reviews batch by batch, around what goes wrong: bad batches are halved until one sequence is left.

A sequence is what a model reads at once: a review, or a window of a long one.
"""

from collections.abc import Callable, Sequence

import numpy as np
import structlog

from db.claims import Effort
from worker import metrics
from worker.checkpoints.tokenizer import Encoded
from worker.engines.base import streams_of
from worker.errors import reason_of
from worker.hold import Hold
from worker.memory import is_out_of_memory
from worker.models import LoadedModel
from worker.streams import Ended, Taken, infer_batches
from worker.waiting import WaitingBatches

#: After so many reviews that failed alone, and not one that was scored, it is the model that is broken.
_BROKEN_AFTER = 16

log = structlog.get_logger()


class Costs:
    """What inferring took, sequence by sequence: the seconds of a batch are shared alike by its sequences."""

    def __init__(self, encoded: Sequence[Encoded]) -> None:
        self._lengths = np.array([one.length for one in encoded], np.int64)
        self._device_s = np.zeros(len(encoded))
        #: Padding included: each sequence's share of its batch, in tokens; 0 until one succeeds.
        self._shares = np.zeros(len(encoded))

    def add(self, ended: Ended, device_s: float) -> None:
        """Count the time of a batch, and where it succeeded its tokens, padding included."""
        self._device_s[ended.indices] += device_s / len(ended.indices)
        if ended.error is None:
            self._shares[ended.indices] = ended.batch.token_ids.size / len(ended.indices)

    def of(self, indices: Sequence[int], device: str) -> Effort:
        """What these sequences took together on that device."""
        chosen = np.asarray(indices, np.int64)
        shares = self._shares[chosen]
        return Effort(
            device=device,
            device_s=float(self._device_s[chosen].sum()),
            tokens=int(self._lengths[chosen][shares > 0].sum()),
            batch_tokens=round(float(shares.sum())),
        )


class Inferred:
    """Of each sequence, by its index, either its logits or the reason why there are none, and what that took."""

    def __init__(self, encoded: Sequence[Encoded]) -> None:
        self.costs = Costs(encoded)
        self.reasons: dict[int, str] = {}
        #: Those for which alone memory ran out once: they wait for the end.
        self.put_off: set[int] = set()
        #: How many have logits.
        self.answered = 0
        self._count = len(encoded)
        self._logits = np.empty((0, 0), np.float32)

    @property
    def done(self) -> int:
        """How many have either."""
        return self.answered + len(self.reasons)

    def add(self, indices: Sequence[int], logits: np.ndarray) -> None:
        """Note the logits of a batch, float32 [sequences, classes]."""
        if not self.answered:
            self._logits = np.empty((self._count, logits.shape[1]), np.float32)
        self._logits[indices] = logits
        self.answered += len(indices)

    def logits(self, indices: Sequence[int]) -> np.ndarray:
        """The logits of sequences that have some, float32 [sequences, classes], in the order asked for."""
        return self._logits[indices]


def infer(
    loaded: LoadedModel,
    waiting: WaitingBatches,
    before_batch: Callable[[int], None],
    hold: Hold,
    review_of: Sequence[int] | None = None,
) -> Inferred:
    """Infer the sequences that wait, batch by batch.

    The device is let go when the last batch has begun, so that another task's begin while it is computed.
    `before_batch` is called with the number of sequences behind us, and may raise to end the work. A batch that
    fails is halved; a sequence that fails alone gets its reason. Out of memory, the budget is halved and the
    rest is cut anew; a sequence for which alone there was none is tried again at the end. Raises the model's own
    error where the model, not a review, is what fails: `review_of` tells whose each sequence is, without it each is
    a review's own.
    """
    reviews = range(len(waiting.encoded)) if review_of is None else review_of
    inferred = Inferred(waiting.encoded)

    def take() -> Taken | None:
        if waiting.is_empty:
            hold.let_go()
            return None
        hold.take()
        taken = waiting.take()
        before_batch(inferred.done)
        return taken

    for ended in infer_batches(loaded.engine, take):
        device_s = hold.count(ended.since, ended.until)
        inferred.costs.add(ended, device_s)
        _count(loaded, ended, device_s)
        if ended.error is not None:
            _after_error(ended.error, loaded, waiting, ended, inferred, reviews)
        else:
            inferred.add(ended.indices, ended.answer())
    return inferred


def _count(loaded: LoadedModel, ended: Ended, device_s: float) -> None:
    tokens, size = int(ended.batch.padding_mask.sum()), ended.batch.token_ids.size
    metrics.note_batch(loaded.serving, tokens, size, device_s, failed=ended.error is not None)


def _after_error(
    error: Exception,
    loaded: LoadedModel,
    waiting: WaitingBatches,
    ended: Ended,
    inferred: Inferred,
    review_of: Sequence[int],
) -> None:
    """Decide what becomes of the sequences of a batch that failed."""
    indices, reason = ended.indices, reason_of(error)
    log.warning("batch failed", action="batch_failed", sequences=len(indices), reason=reason)
    if len(indices) == 1:
        _after_failing_alone(error, waiting, indices[0], inferred, review_of)
    elif is_out_of_memory(error):
        tokens = ended.batch.token_ids.size * streams_of(loaded.engine)
        # Batches that were computed at once may fail together: the budget is halved for the first of them.
        if tokens <= loaded.budget.tokens:
            loaded.budget.halve(tokens)
        waiting.cut_again(indices)
    else:
        middle = len(indices) // 2
        waiting.put_back(indices[:middle], indices[middle:])


def _after_failing_alone(
    error: Exception, waiting: WaitingBatches, index: int, inferred: Inferred, review_of: Sequence[int]
) -> None:
    if not inferred.answered:
        failed = {review_of[one] for one in (*inferred.reasons, *inferred.put_off, index)}
        if len(failed) >= _BROKEN_AFTER:
            raise error
    if is_out_of_memory(error) and index not in inferred.put_off:
        # What is computed beside it may have had the memory, and that need not be so again.
        inferred.put_off.add(index)
        waiting.put_last([index])
    else:
        inferred.reasons[index] = f"the model fails on this review alone: {reason_of(error)}"
