"""Cutting tokenized reviews into batches of nearly equal lengths."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from worker.checkpoints.tokenizer import Encoded
from worker.engines.base import Batch, BatchCosts, Engine


class BatchCutter:
    """Cuts batches for one engine, and remembers their shapes: one that the engine has met costs it less."""

    def __init__(self, costs: BatchCosts) -> None:
        self._costs = costs
        # By length, at the place of each number of rows, what that shape costs beside its tokens.
        self._surcharges: dict[int, np.ndarray] = {}

    def cut(self, lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
        """Indices of the batches, the longest reviews first.

        A batch of n reviews whose longest has m tokens costs n x m tokens, padding included, and stays
        within the budget; a review longer than the budget goes alone. Of all cuts of the sorted reviews it is
        the cheapest by `BatchCosts`: a wide batch is not filled up with short reviews just because they would fit.
        The longest go first, so that the expected time of arrival only gets better.
        """
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        widths = [lengths[i] for i in order]
        ends = self._cheapest_ends(widths, token_budget)
        first = 0
        while first < len(order):
            self._meet(ends[first] - first, widths[first])
            yield order[first : ends[first]]
            first = ends[first]

    def _cheapest_ends(self, widths: Sequence[int], token_budget: int) -> list[int]:
        """For each place in the descending lengths, where the batch that begins there had best end."""
        count = len(widths)
        ends = [count] * count
        # What the reviews from a place on cost, in tokens; known for the places behind before those in front.
        costs = np.zeros(count + 1, np.int64)
        computed = self._computed(np.arange(1, count + 1))
        for first in range(count - 1, -1, -1):
            width = widths[first]
            most = min(count - first, max(1, token_budget // width))
            of_size = costs[first + 1 : first + most + 1] + width * computed[:most]
            of_size += self._surcharge(width, int(computed[most - 1]))[computed[:most]]
            # Of sizes that cost the same the largest, so that equal reviews fill their batches.
            size = most - int(of_size[::-1].argmin())
            costs[first] = of_size[size - 1]
            ends[first] = first + size
        return ends

    def _surcharge(self, width: int, rows: int) -> np.ndarray:
        known = self._surcharges.get(width, np.empty(0, np.int64))
        if len(known) <= rows:
            fresh = np.full(rows + 1, self._costs.call + self._costs.shape)
            fresh[: len(known)] = known
            self._surcharges[width] = known = fresh
        return known

    def _meet(self, rows: int, width: int) -> None:
        computed = int(self._computed(rows))
        self._surcharge(width, computed)[computed] = self._costs.call

    def _computed(self, rows: Any) -> Any:
        """As many rows as are computed for so many."""
        return -(-rows // self._costs.rows) * self._costs.rows


def collate(encoded: Sequence[Encoded], padding_id: int) -> Batch:
    """Pad to the longest: int32 arrays of [reviews, tokens], the mask 1 where a token is."""
    lengths = np.array([one.length for one in encoded])
    is_token = np.arange(lengths.max()) < lengths[:, None]
    token_ids = np.full(is_token.shape, padding_id, np.int32)
    segment_ids = np.zeros(is_token.shape, np.int32)
    # All rows at once: the places of the tokens are in the order of the rows.
    token_ids[is_token] = np.concatenate([one.ids for one in encoded])
    segment_ids[is_token] = np.concatenate([one.segment_ids for one in encoded])
    return Batch(token_ids, segment_ids, is_token.astype(np.int32))


def infer_in_batches(
    engine: Engine, encoded: Sequence[Encoded], padding_id: int, token_budget: int, check: Callable[[], None]
) -> np.ndarray:
    """The logits of at least one tokenized text, float32 [texts, classes], in their order.

    What `check`, called before every batch, raises ends it.
    """
    found: dict[int, np.ndarray] = {}
    for indices in BatchCutter(engine.costs).cut([one.length for one in encoded], token_budget):
        check()
        batch = collate([encoded[index] for index in indices], padding_id)
        found.update(zip(indices, engine.logits(batch), strict=True))
    return np.stack([found[index] for index in range(len(encoded))])
