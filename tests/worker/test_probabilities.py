"""Logits to probabilities, at the edges that real checkpoints reach."""

import numpy as np
import pytest

from worker.probabilities import probabilities

LOGITS = np.array([[2.0, -1.0, 0.5], [1000.0, -1000.0, 0.0], [0.0, 0.0, 0.0]], np.float32)


def test_softmax_sums_to_one() -> None:
    found = probabilities(LOGITS, "single_label_classification")
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(found[0], np.exp(LOGITS[0]) / np.exp(LOGITS[0]).sum(), rtol=1e-6)
    np.testing.assert_array_equal(found[1], [1, 0, 0])


@pytest.mark.filterwarnings("error")
def test_sigmoid_takes_each_class_alone() -> None:
    found = probabilities(LOGITS, "multi_label_classification")
    np.testing.assert_allclose(found[0], 1 / (1 + np.exp(-LOGITS[0])), rtol=1e-6)
    np.testing.assert_array_equal(found[1], [1, 0, 0.5])


def test_regression_is_left_as_it_is() -> None:
    np.testing.assert_array_equal(probabilities(LOGITS, "regression"), LOGITS)


@pytest.mark.parametrize("problem_type", ["single_label_classification", "multi_label_classification", "regression"])
def test_float32_of_the_same_shape(problem_type: str) -> None:
    found = probabilities(LOGITS, problem_type)
    assert found.dtype == np.float32
    assert found.shape == LOGITS.shape
    assert probabilities(LOGITS[:0], problem_type).shape == (0, 3)


def test_another_problem_type_is_named_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match="'ranking' is not one of single_label_classification"):
        probabilities(LOGITS, "ranking")
