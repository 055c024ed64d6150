"""What a classifier is to say of each example, in numbers, by its problem type."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.labels import split_labels


def encode_targets(examples: Sequence[str], labels: Sequence[str], problem_type: str) -> np.ndarray:
    """Turn the labels of examples, as `examples` keeps them, into targets.

    Single-label: int32 [examples], the index of the label among `labels`. Multi-label: float32 [examples, labels],
    1 for the labels it has and 0 for the others. Regression: float32 [examples, 1], the number. Raises KeyError for
    a label that is not among them.
    """
    index = {label: at for at, label in enumerate(labels)}
    return _ENCODERS[problem_type](examples, index)


def _indices(examples: Sequence[str], index: Mapping[str, int]) -> np.ndarray:
    return np.array([index[label] for label in examples], np.int32)


def _indicators(examples: Sequence[str], index: Mapping[str, int]) -> np.ndarray:
    targets = np.zeros((len(examples), len(index)), np.float32)
    for row, label in enumerate(examples):
        targets[row, [index[one] for one in split_labels(label)]] = 1.0
    return targets


def _numbers(examples: Sequence[str], _index: Mapping[str, int]) -> np.ndarray:
    return np.array([float(label) for label in examples], np.float32).reshape(-1, 1)


_ENCODERS: Mapping[str, Callable[[Sequence[str], Mapping[str, int]], np.ndarray]] = {
    SINGLE_LABEL: _indices,
    MULTI_LABEL: _indicators,
    REGRESSION: _numbers,
}
