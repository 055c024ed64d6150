"""The exact GELU with a gradient of its own, in as few passes as TensorFlow can make of both."""

import math
from collections.abc import Callable
from typing import Any

from worker.backend import tf


@tf.custom_gradient
def gelu(x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """x times the standard normal distribution's share below x, for a float tensor of any shape.

    As PyTorch computes it, by erf. Keras takes erfc, which TensorFlow computes element by element: of a training step
    of MiniLM on two cores it took a tenth. Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
    """
    share = 0.5 + 0.5 * tf.math.erf(x * math.sqrt(0.5))

    def gradient(upstream: Any) -> Any:
        density = tf.exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))
        return upstream * (share + x * density)

    return x * share, gradient
