"""Balanced weights are scikit-learn's, and reach the loss beside the examples they are of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from tests.samples import CHECKPOINTS
from worker.checkpoints.tokenizer import load_tokenizer, tokenize
from worker.training.batches import training_data
from worker.training.class_weights import example_weights


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_balanced_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    found = example_weights(np.int32(labels), "balanced")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, compute_sample_weight("balanced", labels), rtol=1e-6)
    assert found.mean() == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize(
    "targets", [np.int32([0, 0, 1]), np.float32([[0, 1], [1, 1], [0, 0]]), np.float32([[1.5]] * 3)]
)
def test_without_a_scheme_all_examples_count_alike(targets: np.ndarray) -> None:
    np.testing.assert_array_equal(example_weights(targets, "none"), np.float32([1, 1, 1]))


def test_each_weight_stands_beside_its_example() -> None:
    texts = [f"{'wonderful ' * (number % 7)}film" for number in range(30)]
    encoded = tokenize(load_tokenizer(CHECKPOINTS / "bert"), texts, [None] * 30, 16)
    targets = np.arange(30, dtype=np.int32)
    data = training_data(
        encoded,
        targets,
        targets.astype(np.float32) / 8,
        batch_size=4,
        accumulate=1,
        epochs=2,
        first_step=1,
        seed=0,
        padding_id=0,
        input_names=("token_ids", "padding_mask"),
    )
    batches = list(data.as_numpy_iterator())
    assert len(batches) == 2 * 8 - 1
    for inputs, right, weights in batches:
        assert len(inputs["token_ids"]) == len(right)
        np.testing.assert_array_equal(weights, right / 8)
