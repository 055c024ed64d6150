"""The answers to a review's windows become one, worked out by hand."""

import numpy as np
import pytest

from worker.combining import combine


def test_windows_count_by_the_tokens_that_are_new_in_them() -> None:
    values = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.3, 0.7]], np.float32)
    found = combine(values, [(1,), [10, 5, 1]])
    assert found[0].tolist() == values[0].tolist()
    # (0.2 x 10 + 0.5 x 5 + 0.3 x 1) / 16, and so on.
    assert found[1].tolist() == pytest.approx([4.8 / 16, 11.2 / 16], abs=1e-7)
    assert found.dtype == np.float32


def test_a_number_is_a_mean_too() -> None:
    assert combine(np.float32([[-3.0], [1.0]]), [[3, 1]]).tolist() == [[-2.0]]


def test_of_single_sequences_nothing_changes() -> None:
    values = np.float32([[0.1, 0.9], [0.7, 0.3]])
    assert combine(values, [(1,), (1,)]) is values
    # Nor by a rounding, where another review has windows.
    mixed = combine(np.float32([*values, [0.5, 0.5], [0.5, 0.5]]), [(1,), (1,), [7, 3]])
    assert mixed[:2].tolist() == values.tolist()


def test_probabilities_of_labels_that_exclude_one_another_still_sum_to_one() -> None:
    drawn = np.random.default_rng(0).dirichlet(np.ones(5), 400).astype(np.float32)
    weights = [[510, *[255] * 78, 13], [510, *[255] * 319]]
    assert combine(drawn, weights).sum(axis=1) == pytest.approx([1.0, 1.0], abs=1e-6)
