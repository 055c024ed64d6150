"""Cutting tokenized reviews into batches of nearly equal lengths."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from worker.checkpoints.tokenizer import Encoded
from worker.engines.base import Batch, BatchCosts, Engine, streams_of
from worker.shapes import MetShapes, Shape
from worker.streams import Taken, infer_batches

#: Reviews of more than so many budgets are part of a long job, of which more like them follow.
_LONG_JOB = 4


@dataclass(frozen=True, slots=True)
class Cut:
    """The indices of a batch's reviews, the longest first, and the shape that it is to be padded to."""

    indices: list[int]
    shape: Shape


class BatchCutter:
    """Cuts batches for one engine, and remembers their shapes: one that the engine has met costs it less.

    `streams` is how many batches the engine computes at once.
    """

    def __init__(self, costs: BatchCosts, streams: int = 1) -> None:
        self._streams = streams
        self.shapes = MetShapes(costs)

    def cut(self, lengths: Sequence[int], token_budget: int) -> Iterator[Cut]:
        """The batches, the longest reviews first.

        A batch of n reviews whose longest has m tokens costs n x m tokens, padding included, and stays within a
        stream's share of the budget; a review longer than that goes alone. Of all cuts of the sorted reviews it is
        the cheapest by `BatchCosts`: a wide batch is not filled up with short reviews just because they would fit.
        The longest go first, so that the expected time of arrival only gets better.
        """
        by_length = np.array(lengths, np.int64)
        order = np.argsort(-by_length, kind="stable").tolist()
        widths = by_length[order].tolist()
        ends = self._cheapest_ends(widths, self._share(widths, token_budget))
        is_long = sum(lengths) > _LONG_JOB * token_budget
        most = token_budget // self._streams
        first = 0
        while first < len(order):
            indices = order[first : ends[first]]
            yield Cut(indices, self.shapes.choose(len(indices), widths[first], most, in_long_job=is_long))
            first = ends[first]

    def _share(self, widths: Sequence[int], token_budget: int) -> int:
        """The tokens of a batch on one stream. Few reviews are divided among the streams too."""
        rows = -(-len(widths) // self._streams)
        return min(token_budget // self._streams, rows * max(widths, default=0))

    def _cheapest_ends(self, widths: Sequence[int], token_budget: int) -> list[int]:
        """For each place in the descending lengths, where the batch that begins there had best end."""
        count = len(widths)
        ends = [count] * count
        # What so many of the last reviews cost, in tokens; known for few before it is for many.
        costs = np.zeros(count + 1, np.int64)
        width, most, of_rows = 0, 0, costs[:0]
        for left in range(1, count + 1):
            if widths[-left] != width:
                width = widths[-left]
                most = min(count, max(1, token_budget // width))
                of_rows = self._batch_costs(width, most)
            # From the largest batch to one of a single review: of those that cost the same the largest is taken, so
            # that equal reviews fill their batches.
            size = min(left, most)
            of_size = costs[left - size : left] + of_rows[most - size :]
            at = int(of_size.argmin())
            costs[left] = of_size[at]
            ends[-left] = count - left + size - at
        return ends

    def _batch_costs(self, width: int, most: int) -> np.ndarray:
        """What batches of that length cost, of `most` rows down to one, in tokens: int64 [most]."""
        return (width * np.arange(1, most + 1) + self.shapes.surcharges(width, most))[::-1].copy()


def collate(encoded: Sequence[Encoded], padding_id: int, shape: Shape | None = None) -> Batch:
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
    lengths = [one.length for one in encoded]
    batches = BatchCutter(engine.costs, streams_of(engine)).cut(lengths, token_budget)

    def take() -> Taken | None:
        if (cut := next(batches, None)) is None:
            return None
        check()
        return cut.indices, collate([encoded[index] for index in cut.indices], padding_id, cut.shape)

    found: dict[int, np.ndarray] = {}
    for ended in infer_batches(engine, take):
        found.update(zip(ended.indices, ended.answer(), strict=True))
    return np.stack([found[index] for index in range(len(encoded))])
