"""Logits to probabilities, by the problem type of the checkpoint."""

from collections.abc import Callable, Mapping

import numpy as np


def probabilities(logits: np.ndarray, problem_type: str) -> np.ndarray:
    """Return float32 [n, classes] from logits [n, classes].

    Source: TextClassificationPipeline.postprocess of transformers. Single-label: softmax over the classes,
    each row summing to 1. Multi-label: the sigmoid of each class. Regression: the logits as they are. Raises
    ValueError for another problem type.
    """
    if problem_type not in _FUNCTIONS:
        raise ValueError(f"problem type {problem_type!r} is not one of {', '.join(_FUNCTIONS)}")
    # float64 in between, so that a row of many classes still sums to 1 in float32.
    return _FUNCTIONS[problem_type](logits.astype(np.float64)).astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    # Without the maximum taken off, exp overflows at logits that real checkpoints give.
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # exp of a negative number only: it cannot overflow.
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)


def _as_they_are(logits: np.ndarray) -> np.ndarray:
    return logits


_FUNCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "single_label_classification": _softmax,
    "multi_label_classification": _sigmoid,
    "regression": _as_they_are,
}
