"""Products of matrices are in bfloat16 for as long as that is asked for, and in float32 before and after."""

import numpy as np

from worker.backend import keras
from worker.checkpoints.compute import has_bfloat16, multiplying_in


def test_products_are_in_bfloat16_inside_and_in_float32_again_after() -> None:
    states = np.random.default_rng(3).normal(size=(64, 256)).astype(np.float32)
    model = keras.Sequential([keras.layers.Dense(256), keras.layers.Dense(256)])
    exact = model.predict(states, verbose=0)
    with multiplying_in("bfloat16"):
        model.predict_function = None
        rounded = model.predict(states, verbose=0)
    with multiplying_in("float32"):
        unchanged = model.predict(states, verbose=0)
    model.predict_function = None
    after = model.predict(states, verbose=0)
    assert rounded.dtype == np.float32
    # bfloat16 has 8 bits of precision, float32 24. A CPU without it may do as if, slowly, or go on in float32.
    assert np.abs(rounded - exact).max() > 1e-4 or not has_bfloat16()
    np.testing.assert_allclose(rounded, exact, atol=0.1)
    np.testing.assert_array_equal(unchanged, exact)
    np.testing.assert_array_equal(after, exact)
