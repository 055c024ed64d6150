"""How often two models say the same, by kind of label."""

import numpy as np
import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from worker.training.agreement import agreement


def test_the_share_of_equal_labels() -> None:
    student = np.array([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.4, 0.3, 0.3]])
    teacher = np.array([[0.5, 0.4, 0.1], [0.6, 0.3, 0.1], [0.3, 0.3, 0.4], [0.9, 0.1, 0.0]])
    assert agreement(student, teacher, SINGLE_LABEL) == {"agreement": 0.75}


def test_of_several_labels_all_must_be_alike() -> None:
    student = np.array([[0.5, 0.1], [0.2, 0.5], [0.1, 0.2]])
    teacher = np.array([[0.9, 0.4], [0.6, 0.9], [0.3, 0.3]])
    assert agreement(student, teacher, MULTI_LABEL) == {"agreement": pytest.approx(2 / 3)}


def test_numbers_are_so_far_apart() -> None:
    assert agreement(np.array([[1.0], [4.0]]), np.array([[1.5], [3.0]]), REGRESSION) == {"teacher_mae": 0.75}
