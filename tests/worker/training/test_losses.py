"""The losses are those of the textbook, worked out here in float64."""

import numpy as np
import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from worker.training.losses import binary_accuracy, loss_of

LOGITS = np.float32([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]])


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values.astype(np.float64)))


def test_single_label_loss_is_the_mean_of_minus_log_softmax() -> None:
    powers = np.exp(LOGITS.astype(np.float64))
    softmax = powers / powers.sum(axis=1, keepdims=True)
    expected = -np.log([softmax[0, 2], softmax[1, 1]]).mean()
    assert float(loss_of(SINGLE_LABEL)(np.int32([2, 1]), LOGITS)) == pytest.approx(expected, rel=1e-6)


def test_multi_label_loss_is_the_mean_of_each_label_s_own() -> None:
    targets = np.float32([[1, 0, 1], [0, 0, 0]])
    chances = sigmoid(LOGITS)
    expected = -(targets * np.log(chances) + (1 - targets) * np.log(1 - chances)).mean()
    assert float(loss_of(MULTI_LABEL)(targets, LOGITS)) == pytest.approx(expected, rel=1e-6)


def test_regression_loss_is_the_mean_squared_error() -> None:
    targets, numbers = np.float32([[1.0], [4.5]]), np.float32([[0.5], [5.0]])
    assert float(loss_of(REGRESSION)(targets, numbers)) == pytest.approx(0.25)


def test_binary_accuracy_counts_labels_on_their_side_of_one_half() -> None:
    targets = np.float32([[1, 0, 1], [1, 1, 1]])
    np.testing.assert_allclose(np.asarray(binary_accuracy(targets, LOGITS)), [1.0, 1 / 3])
