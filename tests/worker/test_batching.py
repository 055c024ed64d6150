"""Batches hold every review once, within the budget, with little padding."""

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.checkpoints import minilm_directory
from producer.sources import open_source
from worker.batching import BatchCutter, Cut, collate
from worker.checkpoints.tokenizer import Encoded, load_tokenizer, tokenize
from worker.engines.base import BatchCosts
from worker.engines.openvino.engine import COSTS
from worker.shapes import Shape

lengths_of_reviews = st.lists(st.integers(1, 600), max_size=200)


all_costs = st.builds(BatchCosts, st.integers(0, 100), st.integers(0, 600), st.integers(0, 300))


@given(lengths_of_reviews, st.integers(64, 5_000), all_costs)
def test_every_review_is_in_one_batch_within_the_budget(lengths: list[int], budget: int, costs: BatchCosts) -> None:
    batches = indices_of(BatchCutter(costs).cut(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[index] for index in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


@given(st.lists(st.integers(1, 600), min_size=1, max_size=60), st.integers(64, 20_000), st.integers(2, 8))
def test_streams_share_the_budget_and_few_reviews(lengths: list[int], budget: int, streams: int) -> None:
    batches = indices_of(BatchCutter(BatchCosts(), streams).cut(lengths, budget))
    for batch in batches:
        assert len(batch) == 1 or streams * len(batch) * max(lengths[index] for index in batch) <= budget


def test_few_reviews_are_divided_among_the_streams() -> None:
    def rows(reviews: int, streams: int) -> list[int]:
        return [len(cut.indices) for cut in BatchCutter(BatchCosts(), streams).cut([30] * reviews, 4_096)]

    assert rows(10, streams=2) == [5, 5]
    assert rows(10, streams=4) == [3, 3, 3, 1]
    assert rows(2, streams=4) == [1, 1]


@given(lengths_of_reviews, st.integers(64, 5_000), all_costs)
def test_the_longest_come_first(lengths: list[int], budget: int, costs: BatchCosts) -> None:
    in_order = [lengths[index] for cut in BatchCutter(costs).cut(lengths, budget) for index in cut.indices]
    assert in_order == sorted(lengths, reverse=True)


@given(st.lists(st.lists(st.integers(1, 120), min_size=1, max_size=8), min_size=1, max_size=3), st.integers(64, 400))
def test_no_other_cut_is_cheaper(chunks: list[list[int]], budget: int) -> None:
    cutter, met = BatchCutter(BatchCosts(call=64, size=1_200, shape=600)), set[Shape]()
    for lengths in chunks:
        widths = sorted(lengths, reverse=True)
        prices = cutter.shapes._prices(in_long_job=True)
        cuts = list(cutter.cut(lengths, budget))
        batches = [[lengths[index] for index in cut.indices] for cut in cuts]
        assert cost(batches, met, prices) == min(
            cost(other, met, prices) for other in every_cut(widths) if fits(other, budget)
        )
        met |= {cut.shape for cut in cuts}


def test_shapes_that_were_met_are_cut_again() -> None:
    drawn = np.random.default_rng(7)
    chunks = [drawn.integers(8, 60, 1_000).tolist() for _ in range(6)]
    free, dear = BatchCutter(BatchCosts()), BatchCutter(BatchCosts(shape=900))
    shapes = [{cut.shape for lengths in chunks for cut in cutter.cut(lengths, 2_048)} for cutter in (free, dear)]
    assert len(shapes[1]) < len(shapes[0]) / 2


@given(st.lists(st.lists(st.integers(1, 64), min_size=1, max_size=40), min_size=1, max_size=8), st.integers(64, 2_560))
def test_a_batch_fits_in_its_shape(jobs: list[list[int]], budget: int) -> None:
    cutter = BatchCutter(BatchCosts(size=300, shape=100), streams=2)
    for lengths in jobs:
        for cut in cutter.cut(lengths, budget):
            assert len(cut.indices) <= cut.shape[0]
            assert max(lengths[index] for index in cut.indices) <= cut.shape[1]


def test_in_a_long_job_less_padding_spares_a_shape() -> None:
    def shapes(reviews: int) -> list[Shape]:
        cutter = BatchCutter(BatchCosts(shape=300))
        list(cutter.cut([40] * 10, 512))
        return [cut.shape for cut in cutter.cut([30] * reviews, 512)]

    assert shapes(10) == [(10, 40)]
    # The last batch alone is of ten.
    assert shapes(17 * 6 + 10) == [*[(17, 30)] * 6, (10, 30)]


def indices_of(cuts: Iterable[Cut]) -> list[list[int]]:
    return [cut.indices for cut in cuts]


def every_cut(widths: list[int]) -> Iterator[list[list[int]]]:
    """All ways to cut a row into consecutive parts."""
    for cuts in product((False, True), repeat=len(widths) - 1):
        ends = [at for at, is_cut in enumerate(cuts, start=1) if is_cut]
        yield [widths[first:end] for first, end in pairwise([0, *ends, len(widths)])]


def fits(cut: list[list[int]], budget: int) -> bool:
    return all(len(batch) == 1 or len(batch) * batch[0] <= budget for batch in cut)


def cost(cut: list[list[int]], met: set[Shape], prices: tuple[int, int]) -> int:
    for_size, for_shape = prices
    sizes = {rows * width for rows, width in met}
    total = 0
    for rows, width in (shape(batch) for batch in cut):
        total += rows * width + 64 + for_shape * ((rows, width) not in met)
        total += for_size * ((rows, width) not in met and rows * width not in sizes)
    return total


def shape(batch: list[int]) -> Shape:
    return len(batch), max(batch)


def test_equal_reviews_fill_their_batches() -> None:
    assert [len(cut.indices) for cut in BatchCutter(BatchCosts()).cut([100] * 10, 400)] == [4, 4, 2]


@pytest.mark.parametrize("source", ["demo:rotten_tomatoes:test", "demo:imdb:test"])
def test_less_than_a_twentieth_of_real_batches_is_padding(source: str) -> None:
    texts = [str(record.values["text"]) for record in islice(open_source(source).records(), 1_000)]
    encoded = tokenize(load_tokenizer(minilm_directory()), texts, None, 512)
    # OpenVINO on two cores, with the most padding that it may come to.
    cutter = BatchCutter(COSTS, 2)
    cuts = cutter.cut([one.length for one in encoded], 4096)
    batches = [collate([encoded[index] for index in cut.indices], 0, cut.shape) for cut in cuts]
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
