"""Dropout leaves out a share, keeps the mean, and draws the same for the same seed."""

import numpy as np
import pytest

from worker.backend import keras, tf
from worker.checkpoints.dropout import drop


def dropped(rate: float, shape: tuple[int, ...], seed: int = 3, *, training: bool | None = True) -> np.ndarray:
    return drop(keras.layers.Dropout(rate, seed=seed), tf.ones(shape), training).numpy()


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


def test_the_same_seed_draws_the_same_and_each_call_anew() -> None:
    layers = [keras.layers.Dropout(0.5, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (drop(layer, tf.ones((9, 7)), True).numpy() for layer in layers)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, drop(layers[0], tf.ones((9, 7)), True).numpy())


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.5, None), (0.0, True)])
def test_nothing_is_left_out_otherwise(rate: float, training: bool | None) -> None:
    np.testing.assert_array_equal(dropped(rate, (3, 5), training=training), np.ones((3, 5)))


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 3, 5)])
def test_any_number_of_elements(shape: tuple[int, ...]) -> None:
    assert dropped(0.5, shape).shape == shape


def test_what_is_left_out_has_no_gradient_and_the_rest_is_scaled() -> None:
    x = tf.ones((50, 40))
    layer = keras.layers.Dropout(0.25, seed=5)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = drop(layer, x, True)
    np.testing.assert_array_equal(tape.gradient(out, x).numpy(), out.numpy())
