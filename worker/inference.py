"""Inferring reviews batch by batch, around what goes wrong: bad batches are halved until one review is left."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from worker.batching import collate, cut_batches
from worker.checkpoints.tokenizer import Encoded
from worker.errors import reason_of
from worker.memory import TokenBudget, is_out_of_memory
from worker.models import LoadedModel

#: After so many reviews that failed alone, and not one that was scored, it is the model that is broken.
_BROKEN_AFTER = 16

log = structlog.get_logger()


@dataclass(slots=True)
class Inferred:
    """Of each review, by its index, either the logits, float32 [classes], or the reason why there are none."""

    logits: dict[int, np.ndarray] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)


def infer(
    loaded: LoadedModel, encoded: Sequence[Encoded], budget: TokenBudget, before_batch: Callable[[int], None]
) -> Inferred:
    """Infer tokenized reviews in batches within the token budget.

    `before_batch` is called with the number of reviews behind us, and may raise to end the work. A batch that
    fails is halved; a review that fails alone gets its reason. Out of memory, the budget is halved and the
    rest is cut anew. Raises the model's own error where the model, not a review, is what fails.
    """
    inferred = Inferred()
    waiting = deque(_cut(encoded, range(len(encoded)), budget))
    while waiting:
        before_batch(len(inferred.logits) + len(inferred.reasons))
        batch = waiting.popleft()
        try:
            logits = loaded.engine.logits(collate([encoded[i] for i in batch], loaded.tokenizer.pad_token_id))
        except Exception as error:
            waiting = _after_error(error, encoded, batch, waiting, budget, inferred)
        else:
            inferred.logits.update(zip(batch, logits, strict=True))
    return inferred


def _after_error(
    error: Exception,
    encoded: Sequence[Encoded],
    batch: list[int],
    waiting: deque[list[int]],
    budget: TokenBudget,
    inferred: Inferred,
) -> deque[list[int]]:
    """What waits now that this batch failed."""
    reason = reason_of(error)
    log.warning("batch failed", action="batch_failed", reviews=len(batch), reason=reason)
    if len(batch) == 1:
        inferred.reasons[batch[0]] = f"the model fails on this review alone: {reason}"
        if not inferred.logits and len(inferred.reasons) >= _BROKEN_AFTER:
            raise error
    elif is_out_of_memory(error):
        budget.halve(len(batch) * max(encoded[i].length for i in batch))
        rest = [*batch, *(i for other in waiting for i in other)]
        return deque(_cut(encoded, rest, budget))
    else:
        middle = len(batch) // 2
        waiting.extendleft([batch[middle:], batch[:middle]])
    return waiting


def _cut(encoded: Sequence[Encoded], indices: Sequence[int], budget: TokenBudget) -> list[list[int]]:
    lengths = [encoded[i].length for i in indices]
    return [[indices[at] for at in batch] for batch in cut_batches(lengths, budget.tokens)]
