"""The labels of examples as numbers, for each kind of label."""

import numpy as np
import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from worker.training.targets import encode_targets


def test_a_single_label_is_its_place() -> None:
    targets = encode_targets(["b", "a", "c", "a"], ["c", "a", "b"], SINGLE_LABEL)
    assert (targets.dtype, targets.tolist()) == (np.int32, [2, 1, 0, 1])


def test_several_labels_are_ones_in_a_row_of_zeros() -> None:
    targets = encode_targets(["price|quality", "", "quality"], ["quality", "price", "service"], MULTI_LABEL)
    assert (targets.dtype, targets.tolist()) == (np.float32, [[1, 1, 0], [0, 0, 0], [1, 0, 0]])


def test_a_number_is_itself() -> None:
    targets = encode_targets(["0.1", "-3.0", "1e+20"], ["stars"], REGRESSION)
    assert (targets.dtype, targets.shape) == (np.float32, (3, 1))
    np.testing.assert_array_equal(targets[:, 0], np.float32([0.1, -3, 1e20]))


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL])
def test_a_label_that_the_model_has_not_is_an_error(problem_type: str) -> None:
    with pytest.raises(KeyError, match="z"):
        encode_targets(["a", "z"], ["a", "b"], problem_type)


@pytest.mark.parametrize(("problem_type", "shape"), [(SINGLE_LABEL, (0,)), (MULTI_LABEL, (0, 2)), (REGRESSION, (0, 1))])
def test_of_no_examples_there_are_no_targets(problem_type: str, shape: tuple[int, ...]) -> None:
    assert encode_targets([], ["a", "b"], problem_type).shape == shape
