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
    scaled = x * math.sqrt(0.5)
    share = 0.5 + 0.5 * tf.math.erf(scaled)
    # x times the density: its factor is part of the exponent, which saves a pass over the states.
    slope = share + scaled * tf.exp(-0.5 * math.log(math.pi) - scaled * scaled)

    def gradient(upstream: Any) -> Any:
        return upstream * slope

    return x * share, gradient
