"""Our GELU and its gradient are those of Keras, and of a formula worked out in double precision."""

import math

import numpy as np
import pytest

from worker.backend import keras, tf
from worker.checkpoints.gelu import gelu

POINTS = np.concatenate([np.linspace(-12, 12, 4_801), [0.0, -0.0, 1e-30, -30.0, 30.0]])


def value_and_slope(function: object, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    x = tf.constant(POINTS, dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)  # type: ignore[operator]
    return tf.cast(y, "float64").numpy(), tf.cast(tape.gradient(y, x), "float64").numpy()


@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-6), ("bfloat16", 0.05)])
def test_it_is_kerass(dtype: str, most: float) -> None:
    ours, theirs = (value_and_slope(one, dtype) for one in (gelu, lambda x: keras.activations.gelu(x, False)))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=most, atol=most)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=most, atol=most)


def test_it_is_the_formula() -> None:
    value, slope = value_and_slope(gelu, "float32")
    share = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in POINTS])
    density = np.exp(-0.5 * POINTS**2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(value, POINTS * share, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(slope, share + POINTS * density, rtol=1e-6, atol=1e-6)
