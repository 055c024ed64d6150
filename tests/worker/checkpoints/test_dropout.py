"""Dropout leaves out a share, keeps the mean, and draws the same for the same seed."""

import numpy as np
import pytest

from worker.backend import tf
from worker.checkpoints.dropout import drop


def dropped(rate: float, shape: tuple[int, ...], seed: int | None = 3) -> np.ndarray:
    (out,) = drop([tf.ones(shape)], rate, None if seed is None else tf.constant([seed, 0]))
    return out.numpy()


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.9])
def test_a_share_is_left_out_and_the_mean_stays(rate: float) -> None:
    values = dropped(rate, (400, 501))
    kept = round(256 * (1 - rate)) / 256
    assert set(np.unique(values)) == {0.0, np.float32(1 / kept)}
    assert np.mean(values == 0) == pytest.approx(1 - kept, abs=0.01)
    assert abs((1 - kept) - rate) <= 1 / 512
    # In each row and each column: none is left out for good.
    assert (values == 0).any(axis=0).all()
    assert (values != 0).any(axis=1).all()


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (dropped(0.5, (9, 7), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


# The second is as a batch of one text is cut in two.
@pytest.mark.parametrize("sizes", [(2, 3), (0, 5), (1, 1, 3)])
def test_parts_lose_what_the_whole_loses(sizes: tuple[int, ...]) -> None:
    parts = drop([tf.ones((size, 3, 7)) for size in sizes], 0.5, tf.constant([3, 0]))
    assert [len(part) for part in parts] == list(sizes)
    np.testing.assert_array_equal(np.concatenate(parts), dropped(0.5, (5, 3, 7)))


@pytest.mark.parametrize(("rate", "seed"), [(0.5, None), (0.0, 3)])
def test_nothing_is_left_out_otherwise(rate: float, seed: int | None) -> None:
    np.testing.assert_array_equal(dropped(rate, (3, 5), seed), np.ones((3, 5)))


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3, 5)])
def test_any_number_of_elements(shape: tuple[int, ...]) -> None:
    assert dropped(0.5, shape).shape == shape


def test_what_is_left_out_has_no_gradient_and_the_rest_is_scaled() -> None:
    x = tf.ones((50, 40))
    with tf.GradientTape() as tape:
        tape.watch(x)
        (out,) = drop([x], 0.25, tf.constant([5, 0]))
    np.testing.assert_array_equal(tape.gradient(out, x).numpy(), out.numpy())
