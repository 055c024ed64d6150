"""Verdicts tell the top label and how sure it is."""

import numpy as np
import pytest

from worker.verdicts import make_verdict, margin_of


def test_the_top_label_wins_and_every_label_is_kept() -> None:
    one = make_verdict(["bad", "fair", "good"], np.array([0.2, 0.1, 0.7]), "single_label_classification", 9, True)
    assert (one.label, one.score, one.tokens, one.truncated) == ("good", 0.7, 9, True)
    assert one.probabilities == {"bad": 0.2, "fair": 0.1, "good": 0.7}
    assert one.margin == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "problem_type", "margin"),
    [
        ([0.5, 0.5], "single_label_classification", 0.0),
        ([0.9, 0.05, 0.05], "single_label_classification", 0.85),
        ([0.9, 0.45], "multi_label_classification", 0.1),
        ([0.75], "multi_label_classification", 0.5),
        ([-3.2], "regression", None),
    ],
)
def test_margins(values: list[float], problem_type: str, margin: float | None) -> None:
    assert margin_of(values, problem_type) == (None if margin is None else pytest.approx(margin))
