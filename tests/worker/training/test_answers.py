"""What the registry is told of answers: scores under the split's name, and the calibration error of before."""

import json

import numpy as np
import pytest

from worker.training.answers import Answers, describe

#: Four answers, all "b", three of them right, with a probability of 0.9; the last has 0.8.
RIGHT = np.array([1, 1, 1, 0], np.int32)
CALIBRATED = np.log(np.array([[0.1, 0.9], [0.1, 0.9], [0.1, 0.9], [0.2, 0.8]]), dtype=np.float64).astype(np.float32)


def test_scores_carry_the_split_s_name_and_the_rest_is_beneath_one() -> None:
    told = describe(Answers([4, 5, 6, 7], RIGHT, CALIBRATED, "single_label_classification"), "test", ["a", "b"], None)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    evaluation = told.pop("evaluation")
    # (3 * |1 - 0.9| + 1 * |0 - 0.8|) / 4, and F1 of 0 and 6 / 7.
    assert told == {
        "test_accuracy": 0.75,
        "test_macro_f1": pytest.approx(3 / 7),
        "test_ece": pytest.approx(0.275, abs=1e-6),
    }
    assert list(evaluation) == ["split", "labels", "per_label", "confusion", "reliability", "mistakes"]
    assert (evaluation["split"], evaluation["labels"], evaluation["confusion"]) == (
        "test",
        ["a", "b"],
        [[0, 1], [0, 3]],
    )
    assert [(one["review_id"], one["right"]) for one in evaluation["mistakes"]] == [(7, "a")]


def test_the_calibration_error_of_before_is_that_of_the_undivided_logits() -> None:
    answers = Answers([4, 5, 6, 7], RIGHT, CALIBRATED, "single_label_classification")
    told = describe(answers, "validation", ["a", "b"], 2.0)
    # Undivided, 0.9 to 0.1 is 81 to 1, and 0.8 to 0.2 is 16 to 1: all four lie in the last bin, above 14 / 15.
    before = (3 * 81 / 82 + 16 / 17) / 4 - 3 / 4
    assert told["validation_ece_uncalibrated"] == pytest.approx(before, abs=1e-6)
    assert told["validation_ece"] == pytest.approx(0.275, abs=1e-6)


def test_other_problems_have_their_own_scores() -> None:
    stars = Answers([1, 2], np.array([[1.0], [2.0]]), np.array([[1.5], [2.0]], np.float32), "regression")
    told = describe(stars, "test", ["stars"], None)
    assert told["test_mae"] == pytest.approx(0.25)
    assert told["evaluation"]["mistakes"] == [{"review_id": 1, "right": 1.0, "predicted": 1.5, "probability": None}]
