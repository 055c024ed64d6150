"""Tokenized reviews that wait for the device, in batches ready to be inferred."""

from collections import deque
from collections.abc import Sequence

from worker.batching import BatchCutter, collate
from worker.checkpoints.tokenizer import Encoded
from worker.engines.base import Batch
from worker.memory import TokenBudget
from worker.shapes import Shape


class WaitingBatches:
    """Batches within the token budget, each with the indices of its sequences, the longest first.

    They are cut and padded when this is made, which needs no device and is best done before one is held. Where
    the budget shrinks meanwhile, here or by another chunk of the same model, what still waits is cut anew.
    """

    def __init__(self, encoded: Sequence[Encoded], budget: TokenBudget, cutter: BatchCutter, padding_id: int) -> None:
        self.encoded = encoded
        self._budget = budget
        self._cutter = cutter
        self._padding_id = padding_id
        self._waiting: deque[tuple[list[int], Batch]] = deque()
        self._cut(range(len(encoded)))

    @property
    def is_empty(self) -> bool:
        """Whether all are taken."""
        return not self._waiting

    def take(self) -> tuple[list[int], Batch] | None:
        """The next batch, or None when all are taken."""
        if self._budget.tokens < self._cut_for_tokens:
            self.cut_again([])
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, *parts: list[int]) -> None:
        """Let these sequences go next, each part as a batch of its own."""
        self._waiting.extendleft((part, self._collate(part)) for part in reversed(parts))

    def put_last(self, indices: list[int]) -> None:
        """Let these sequences go last, as a batch of their own."""
        self._waiting.append((indices, self._collate(indices)))

    def cut_again(self, indices: list[int]) -> None:
        """Let these sequences wait too, and cut all that waits for the budget as it is now."""
        self._cut([*indices, *(index for indices, _ in self._waiting for index in indices)])

    def _cut(self, indices: Sequence[int]) -> None:
        self._cut_for_tokens = self._budget.tokens
        lengths = [self.encoded[index].length for index in indices]
        cuts = self._cutter.cut(lengths, self._cut_for_tokens)
        parts = (([indices[at] for at in cut.indices], cut.shape) for cut in cuts)
        self._waiting = deque((part, self._collate(part, shape)) for part, shape in parts)

    def _collate(self, indices: Sequence[int], shape: Shape | None = None) -> Batch:
        return collate([self.encoded[index] for index in indices], self._padding_id, shape)
