"""Cutting tokenized reviews into batches of nearly equal lengths."""

import math
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
        #: Shapes that the engine has met: rows, as many as are computed at once, and tokens of each.
        self._met: set[tuple[int, int]] = set()

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
            yield order[first : ends[first]]
            first = ends[first]

    def shape(self, rows: int, width: int, token_budget: int) -> tuple[int, int]:
        """The rows, and tokens a row, that a batch of so many is best padded to; the engine will then have met them.

        It is one that was met before where that costs less than making kernels for another, and is within the budget.
        So jobs of all sizes come in few shapes: a library keeps the kernels of each, some hundred KB and more.
        """
        if not self._costs.shape:
            return rows, width  # nothing is kept for it, here either
        own = int(self._computed(rows)), width
        if own not in self._met:
            most = min(own[0] * width + self._costs.shape, token_budget)
            # A copy: another task of this process may cut for the same engine.
            larger = [met for met in tuple(self._met) if met[0] >= rows and met[1] >= width]
            nearest = min(larger, key=math.prod, default=None)
            if nearest is not None and math.prod(nearest) <= most:
                return nearest
        self._meet(*own)
        return rows, width

    def collate(self, encoded: Sequence[Encoded], padding_id: int, token_budget: int) -> Batch:
        """Pad to the shape that suits the engine best; see `collate`."""
        width = max(one.length for one in encoded)
        return collate(encoded, padding_id, self.shape(len(encoded), width, token_budget))

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
        self._met.add((rows, width))
        self._surcharge(width, rows)[rows] = self._costs.call

    def _computed(self, rows: Any) -> Any:
        """As many rows as are computed for so many."""
        return -(-rows // self._costs.rows) * self._costs.rows


def collate(encoded: Sequence[Encoded], padding_id: int, shape: tuple[int, int] | None = None) -> Batch:
    """Pad to the longest, or to a larger shape: int32 arrays of [reviews, tokens], the mask 1 where a token is.

    Rows beyond the reviews are padding throughout.
    """
    lengths = np.array([one.length for one in encoded])
    rows, width = shape or (len(lengths), int(lengths.max()))
    is_token = np.zeros((rows, width), bool)
    is_token[: len(lengths)] = np.arange(width) < lengths[:, None]
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
    cutter = BatchCutter(engine.costs)
    for indices in cutter.cut([one.length for one in encoded], token_budget):
        check()
        batch = cutter.collate([encoded[index] for index in indices], padding_id, token_budget)
        found.update(zip(indices, engine.logits(batch)[: len(indices)], strict=True))
    return np.stack([found[index] for index in range(len(encoded))])
