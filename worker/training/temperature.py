"""Temperature scaling: one number that makes probabilities mean what they say, and changes no label.

Source: section 4.2 of Guo et al., On Calibration of Modern Neural Networks, 2017.
"""

from collections.abc import Callable
from math import exp, log, sqrt

import numpy as np

#: Far beyond what any model needs; at the higher end probabilities are all but equal.
_LOWEST, _HIGHEST = 0.01, 100.0
#: Each step leaves 0.618 of the interval: the temperature is then found to ten digits.
_STEPS = 60
_GOLDEN = (sqrt(5) - 1) / 2


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float | None:
    """The T, 0.01 to 100, with which softmax(logits / T) gives the right labels the highest likelihood.

    Takes logits [n, classes] and targets int [n]. None where there is no best one: with every label right, surer
    is always likelier, without end.
    """
    if (logits.argmax(axis=1) == targets).all():
        return None
    numbers = logits.astype(np.float64)
    # The loss is convex in 1 / T, so over log T it falls to one lowest point and rises again.
    return exp(_lowest_point(lambda place: _loss(numbers, targets, exp(place)), log(_LOWEST), log(_HIGHEST)))


def _loss(logits: np.ndarray, targets: np.ndarray, temperature: float) -> float:
    """The mean negative log-likelihood of the targets."""
    scaled = logits / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(targets)), targets]).mean())


def _lowest_point(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that falls and then rises is lowest, by golden section."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return (low + high) / 2
