"""Verdicts tell the top label and how sure it is."""

import numpy as np
import pytest

from worker.checkpoints.tokenizer import Encoded
from worker.reading import Reading
from worker.verdicts import make_verdicts, margins


def tokens(length: int, truncated: bool = False) -> Encoded:
    return Encoded(np.zeros(length, np.int32), np.zeros(length, np.int32), length, truncated)


def test_the_top_label_wins_and_every_label_is_kept() -> None:
    values = np.array([[0.2, 0.1, 0.7], [0.5, 0.3, 0.2]], np.float32)
    readings = [Reading("window", [tokens(6, True), tokens(3, True)], [4, 1]), Reading("whole", [tokens(7)], [1])]
    good, bad = make_verdicts(["bad", "fair", "good"], values, "single_label_classification", "float32", readings)
    assert (good.label, good.score, good.tokens, good.truncated) == ("good", float(values[0, 2]), 9, True)
    assert good.precision == bad.precision == "float32"
    assert (bad.label, bad.score, bad.tokens, bad.truncated) == ("bad", 0.5, 7, False)
    assert [(one.reading, one.windows) for one in (good, bad)] == [("window", 2), ("whole", 1)]
    assert good.probabilities == {"bad": float(values[0, 0]), "fair": float(values[0, 1]), "good": good.score}
    assert (good.margin, bad.margin) == (pytest.approx(0.5), pytest.approx(0.2))


def test_what_is_stored_are_plain_numbers() -> None:
    values, readings = np.float32([[0.25, 0.75]]), [Reading("whole", [tokens(9)], [1])]
    (one,) = make_verdicts(["bad", "good"], values, "single_label_classification", "float32", readings)
    kinds = [type(value) for value in (one.score, one.margin, *one.probabilities.values())]
    assert kinds == [float] * 4
    assert [type(value) for value in (one.tokens, one.truncated, one.windows)] == [int, bool, int]


@pytest.mark.parametrize(
    ("values", "problem_type", "expected"),
    [
        ([[0.5, 0.5], [0.1, 0.9]], "single_label_classification", [0.0, 0.8]),
        ([[0.9, 0.05, 0.05]], "single_label_classification", [0.85]),
        ([[0.9, 0.45], [0.05, 0.2]], "multi_label_classification", [0.1, 0.6]),
        ([[0.75]], "multi_label_classification", [0.5]),
        ([[-3.2]], "regression", [None]),
    ],
)
def test_margins(values: list[list[float]], problem_type: str, expected: list[float | None]) -> None:
    found = margins(np.array(values), problem_type)
    assert found == [None if one is None else pytest.approx(one) for one in expected]
