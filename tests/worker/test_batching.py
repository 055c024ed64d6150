"""Batches hold every review once, within the budget."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.batching import collate, cut_batches
from worker.checkpoints.tokenizer import Encoded

lengths_of_reviews = st.lists(st.integers(1, 600), max_size=200)


@given(lengths_of_reviews, st.integers(64, 5_000))
def test_every_review_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(cut_batches(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


@given(lengths_of_reviews, st.integers(64, 5_000))
def test_the_longest_come_first_and_no_batch_could_take_the_next_review(lengths: list[int], budget: int) -> None:
    batches = list(cut_batches(lengths, budget))
    in_order = [lengths[index] for batch in batches for index in batch]
    assert in_order == sorted(lengths, reverse=True)
    for batch in batches[:-1]:
        assert (len(batch) + 1) * lengths[batch[0]] > budget


def test_sorting_leaves_little_padding() -> None:
    lengths = [int(length) for length in np.random.default_rng(0).integers(10, 512, 1_000)]
    batches = list(cut_batches(lengths, 4096))
    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    assert padded < 1.05 * sum(lengths)


def test_padding_is_marked_and_holds_the_padding_id() -> None:
    short = Encoded(np.array([5, 6], np.int32), np.array([0, 1], np.int32), 2, False)
    long = Encoded(np.array([7, 8, 9], np.int32), np.zeros(3, np.int32), 3, True)
    batch = collate([short, long], padding_id=1)
    assert batch.token_ids.tolist() == [[5, 6, 1], [7, 8, 9]]
    assert batch.segment_ids.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert batch.padding_mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert {array.dtype for array in (batch.token_ids, batch.segment_ids, batch.padding_mask)} == {np.dtype(np.int32)}
