"""Cutting tokenized reviews into batches of nearly equal lengths."""

from collections.abc import Iterator, Sequence

import numpy as np

from worker.checkpoints.tokenizer import Encoded
from worker.engines.base import Batch


def cut_batches(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Indices of the batches, the longest reviews first.

    A batch of n reviews whose longest has m tokens costs n x m tokens, padding included, and stays
    within the budget; a review longer than the budget goes alone. The longest go first, so that memory
    is proven by the first batch and the expected time of arrival only gets better.
    """
    batch: list[int] = []
    width = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * width > token_budget:
            yield batch
            batch = []
        if not batch:
            width = lengths[index]
        batch.append(index)
    if batch:
        yield batch


def collate(encoded: Sequence[Encoded], padding_id: int) -> Batch:
    """Pad to the longest: int32 arrays of [reviews, tokens], the mask 1 where a token is."""
    shape = (len(encoded), max(one.length for one in encoded))
    token_ids = np.full(shape, padding_id, np.int32)
    segment_ids = np.zeros(shape, np.int32)
    padding_mask = np.zeros(shape, np.int32)
    for row, one in enumerate(encoded):
        token_ids[row, : one.length] = one.ids
        segment_ids[row, : one.length] = one.segment_ids
        padding_mask[row, : one.length] = 1
    return Batch(token_ids, segment_ids, padding_mask)
