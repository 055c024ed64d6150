"""A training that no temperature can be fitted to is refused before it begins."""

import pytest

from producer.calibration import check_calibration
from producer.errors import CalibrationError


def test_labels_that_exclude_one_another_and_one_example_are_enough() -> None:
    check_calibration("single_label_classification", 1)


@pytest.mark.parametrize(
    ("problem_type", "held_out", "said"),
    [
        ("single_label_classification", 0, "none of these are held out; give a --validation-split above 0"),
        ("multi_label_classification", 9, "this is multi label classification"),
        ("regression", 9, "this is regression"),
    ],
)
def test_what_is_refused_says_why(problem_type: str, held_out: int, said: str) -> None:
    with pytest.raises(CalibrationError, match=said):
        check_calibration(problem_type, held_out)
