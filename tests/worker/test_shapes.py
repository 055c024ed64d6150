"""Batches of all sizes come in few shapes, padded no further than new kernels cost."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worker.batching import BatchCutter
from worker.engines.base import BatchCosts
from worker.engines.openvino.engine import COSTS
from worker.shapes import MetShapes, Shape

all_shapes = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 64), st.booleans()), min_size=1, max_size=100)


@given(all_shapes, st.integers(64, 2_560), st.integers(0, 600), st.integers(0, 300))
def test_a_batch_is_padded_no_further_than_new_kernels_cost(
    batches: list[tuple[int, int, bool]], most: int, for_size: int, for_shape: int
) -> None:
    shapes, met = MetShapes(BatchCosts(size=for_size, shape=for_shape)), set[Shape]()
    for rows, width, in_long_job in batches:
        shape = shapes.choose(rows, width, most, in_long_job=in_long_job)
        if shape != (rows, width):
            # Another has room for all, and not too much of it, and brings at most kernels for the shape alone.
            assert shape in met or math.prod(shape) in {math.prod(one) for one in met}
            assert shape[0] >= rows
            assert shape[1] >= width
            price = for_size + for_shape
            assert math.prod(shape) <= min(most, rows * width + (price // 2 if in_long_job else price))
        met.add(shape)
    assert len(shapes) == (len(met) if for_size or for_shape else 0)


def test_a_number_of_tokens_that_was_met_spares_its_kernels() -> None:
    shapes = MetShapes(BatchCosts(size=300, shape=10))
    assert shapes.choose(12, 20, 1_000, in_long_job=False) == (12, 20)
    # 15 x 16 are as many; 12 x 20 has no room for 15 rows.
    assert shapes.choose(15, 14, 1_000, in_long_job=False) == (15, 16)
    # What was met costs nothing, though it is larger by a few tokens.
    assert shapes.choose(15, 15, 1_000, in_long_job=False) == (15, 16)


def test_the_more_was_met_the_more_padding_spares_another() -> None:
    few, many = (MetShapes(BatchCosts(size=200, shape=100)) for _ in range(2))
    for width in range(1_001, 1_101):
        many.choose(1, width, 10_000, in_long_job=True)
    for shapes in (few, many):
        shapes.choose(16, 40, 10_000, in_long_job=True)
    # 80 tokens more than 16 x 35 are.
    assert few.choose(16, 35, 10_000, in_long_job=True) == (16, 35)
    assert many.choose(16, 35, 10_000, in_long_job=True) == (16, 40)


def test_twenty_minutes_of_jobs_of_all_sizes_meet_little_after_the_fifth() -> None:
    """As in the soak: a long job's chunks between small jobs."""
    drawn, cutter = np.random.default_rng(7), BatchCutter(COSTS, 2)
    met, every, after = set[Shape](), set[Shape](), list[tuple[int, int]]()
    for _minute in range(20):
        for number in range(27):
            lengths = drawn.integers(7, 65, 1_000 if number % 2 else drawn.integers(1, 41)).tolist()
            for cut in cutter.cut(lengths, 2_048):
                met.add(cut.shape)
                every.add((len(cut.indices), lengths[cut.indices[0]]))
        after.append((len({math.prod(shape) for shape in met}), len(met)))
    (sizes, shapes), (all_sizes, all_shapes) = after[4], after[-1]
    assert all_sizes - sizes < 8
    assert all_shapes - shapes < 20
    assert len(met) < len(every) / 3
