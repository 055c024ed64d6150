"""Batches hold every review once, within the budget, with little padding."""

from collections.abc import Iterator
from itertools import islice, pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.checkpoints import minilm_directory
from producer.sources import open_source
from worker.batching import BatchCutter, collate
from worker.checkpoints.tokenizer import Encoded, load_tokenizer, tokenize
from worker.engines.base import BatchCosts
from worker.engines.openvino.engine import _SHAPE_COSTS_TOKENS

lengths_of_reviews = st.lists(st.integers(1, 600), max_size=200)


all_costs = st.builds(BatchCosts, st.integers(0, 100), st.integers(0, 300), st.integers(1, 4))


@given(lengths_of_reviews, st.integers(64, 5_000), all_costs)
def test_every_review_is_in_one_batch_within_the_budget(lengths: list[int], budget: int, costs: BatchCosts) -> None:
    batches = list(BatchCutter(costs).cut(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


@given(lengths_of_reviews, st.integers(64, 5_000), all_costs)
def test_the_longest_come_first(lengths: list[int], budget: int, costs: BatchCosts) -> None:
    in_order = [lengths[index] for batch in BatchCutter(costs).cut(lengths, budget) for index in batch]
    assert in_order == sorted(lengths, reverse=True)


@given(st.lists(st.lists(st.integers(1, 120), min_size=1, max_size=8), min_size=1, max_size=3), st.integers(64, 400))
def test_no_other_cut_is_cheaper(chunks: list[list[int]], budget: int) -> None:
    costs = BatchCosts(call=64, shape=150, rows=2)
    cutter, met = BatchCutter(costs), set[tuple[int, int]]()
    for lengths in chunks:
        widths = sorted(lengths, reverse=True)
        batches = [[lengths[index] for index in batch] for batch in cutter.cut(lengths, budget)]
        assert cost(batches, met, costs) == min(
            cost(other, met, costs) for other in every_cut(widths) if fits(other, budget)
        )
        met |= {(rows + rows % 2, width) for rows, width in shapes_of(cutter, batches, budget)}


def test_shapes_that_were_met_are_cut_again() -> None:
    drawn = np.random.default_rng(7)
    chunks = [drawn.integers(8, 60, 1_000).tolist() for _ in range(6)]
    free, dear = BatchCutter(BatchCosts()), BatchCutter(BatchCosts(shape=150))
    shapes: dict[BatchCutter, set[tuple[int, int]]] = {free: set(), dear: set()}
    for cutter, met in shapes.items():
        for lengths in chunks:
            batches = [[lengths[index] for index in batch] for batch in cutter.cut(lengths, 2_048)]
            met |= set(shapes_of(cutter, batches, 2_048))
    assert len(shapes[dear]) < len(shapes[free]) / 2


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 64)), min_size=1, max_size=50),
    st.integers(64, 2_560),
    all_costs,
)
def test_a_batch_is_padded_no_further_than_a_new_shape_costs(
    batches: list[tuple[int, int]], budget: int, costs: BatchCosts
) -> None:
    cutter, shapes = BatchCutter(costs), set()
    for rows, width in batches:
        shape = cutter.shape(rows, width, budget)
        if shape == (rows, width):
            shapes.add((-(-rows // costs.rows) * costs.rows, width))
            continue
        # Another is one that was met, with room for all, and not too much.
        assert shape in shapes
        assert shape[0] >= rows
        assert shape[1] >= width
        assert shape[0] * shape[1] <= min(budget, -(-rows // costs.rows) * costs.rows * width + costs.shape)


def test_jobs_of_all_sizes_come_in_few_shapes() -> None:
    drawn = np.random.default_rng(7)
    jobs = [drawn.integers(7, 64, drawn.integers(1, 40)).tolist() for _ in range(1_000)]
    cutter, few, all_ = BatchCutter(BatchCosts(shape=_SHAPE_COSTS_TOKENS, rows=2)), set(), set()
    for lengths in jobs:
        batches = [[lengths[index] for index in batch] for batch in cutter.cut(lengths, 2_048)]
        few |= set(shapes_of(cutter, batches, 2_048))
        all_ |= {(len(batch), batch[0]) for batch in batches}
    assert len(few) < len(all_) / 2


def shapes_of(cutter: BatchCutter, batches: list[list[int]], budget: int) -> list[tuple[int, int]]:
    """What batches, each of the lengths of its reviews, are padded to."""
    return [cutter.shape(len(batch), batch[0], budget) for batch in batches]


def every_cut(widths: list[int]) -> Iterator[list[list[int]]]:
    """All ways to cut a row into consecutive parts."""
    for cuts in product((False, True), repeat=len(widths) - 1):
        ends = [at for at, is_cut in enumerate(cuts, start=1) if is_cut]
        yield [widths[first:end] for first, end in pairwise([0, *ends, len(widths)])]


def fits(cut: list[list[int]], budget: int) -> bool:
    return all(len(batch) == 1 or len(batch) * batch[0] <= budget for batch in cut)


def cost(cut: list[list[int]], met: set[tuple[int, int]], costs: BatchCosts) -> int:
    shapes = [shape(batch, costs) for batch in cut]
    return sum(rows * width + costs.call + costs.shape * ((rows, width) not in met) for rows, width in shapes)


def shape(batch: list[int], costs: BatchCosts) -> tuple[int, int]:
    return -(-len(batch) // costs.rows) * costs.rows, max(batch)


def test_equal_reviews_fill_their_batches() -> None:
    assert [len(batch) for batch in BatchCutter(BatchCosts()).cut([100] * 10, 400)] == [4, 4, 2]


@pytest.mark.parametrize("source", ["demo:rotten_tomatoes:test", "demo:imdb:test"])
def test_less_than_a_twentieth_of_real_batches_is_padding(source: str) -> None:
    texts = [str(record.values["text"]) for record in islice(open_source(source).records(), 1_000)]
    encoded = tokenize(load_tokenizer(minilm_directory()), texts, None, 512)
    # OpenVINO on two cores, with the most padding that it may come to.
    cutter = BatchCutter(BatchCosts(shape=_SHAPE_COSTS_TOKENS, rows=2))
    cut = cutter.cut([one.length for one in encoded], 4096)
    batches = [cutter.collate([encoded[index] for index in batch], 0, 4096) for batch in cut]
    area = sum(batch.token_ids.size for batch in batches)
    assert sum(int(batch.padding_mask.sum()) for batch in batches) > 0.95 * area
    # Nor are the batches so small that calling the engine takes the time that padding did.
    assert area / len(batches) > 1_000


def test_padding_is_marked_and_holds_the_padding_id() -> None:
    short = Encoded(np.array([5, 6], np.int32), np.array([0, 1], np.int32), 2, False)
    long = Encoded(np.array([7, 8, 9], np.int32), np.zeros(3, np.int32), 3, True)
    batch = collate([short, long], padding_id=1)
    assert batch.token_ids.tolist() == [[5, 6, 1], [7, 8, 9]]
    assert batch.segment_ids.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert batch.padding_mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert {array.dtype for array in (batch.token_ids, batch.segment_ids, batch.padding_mask)} == {np.dtype(np.int32)}


def test_a_batch_may_be_padded_to_a_larger_shape() -> None:
    one = Encoded(np.array([5, 6], np.int32), np.array([0, 1], np.int32), 2, False)
    batch = collate([one], padding_id=1, shape=(2, 3))
    assert batch.token_ids.tolist() == [[5, 6, 1], [1, 1, 1]]
    assert batch.segment_ids.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert batch.padding_mask.tolist() == [[1, 1, 0], [0, 0, 0]]
