"""One answer of several: what a model says of the parts of a review, put together."""

from collections.abc import Sequence
from itertools import chain

import numpy as np


def combine(values: np.ndarray, weights: Sequence[Sequence[int]]) -> np.ndarray:
    """The weighted mean of each review's values, float32 [reviews, classes], from those of its sequences.

    `values` are float32 [sequences, classes], a review's beside each other, and `weights` theirs, review by review. For
    every kind of problem: also where labels do not exclude one another, the largest value would grow with the number of
    windows, until every label fits a review that is long enough.
    """
    counts = [len(one) for one in weights]
    if len(values) == len(counts):
        return values
    flat = np.fromiter(chain.from_iterable(weights), np.float64, len(values))
    firsts = np.cumsum([0, *counts[:-1]])
    sums = np.add.reduceat(values * flat[:, None], firsts)
    return (sums / np.add.reduceat(flat, firsts)[:, None]).astype(np.float32)
