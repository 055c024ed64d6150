"""From probabilities to verdicts: the top label, its score, and how sure the model is."""

from collections.abc import Sequence
from itertools import repeat

import numpy as np

from db.predictions import Verdict
from worker.reading import Reading


def make_verdicts(
    labels: Sequence[str],
    values: np.ndarray,
    problem_type: str,
    precision: str,
    readings: Sequence[Reading],
) -> list[Verdict]:
    """The verdicts for texts from their values, one a label, [texts, classes].

    Values are probabilities, or the raw value for regression. The top label is the one with the largest value.
    `precision` is what the model computed in; `readings` are what it read of each text.
    """
    numbers = values.astype(np.float64)
    tops = numbers.argmax(axis=1)
    # Columns to plain numbers in one go: asked for one by one, each would cost as much as a whole row.
    columns = (
        (labels[top] for top in tops.tolist()),
        numbers.max(axis=1).tolist(),
        margins(numbers, problem_type),
        (dict(zip(labels, row, strict=True)) for row in numbers.tolist()),
        (one.tokens for one in readings),
        (one.truncated for one in readings),
        repeat(precision, len(values)),
        (one.manner for one in readings),
        (len(one.sequences) for one in readings),
    )
    return [Verdict(*row) for row in zip(*columns, strict=True)]


def margins(values: np.ndarray, problem_type: str) -> Sequence[float | None]:
    """How far each answer, a row of [texts, classes], is from tipping over: 0 (a coin flip) to 1; None for regression.

    Between labels that exclude one another it is the distance of the two largest probabilities. Where every label
    stands for itself it is the smallest distance of any probability from one half, doubled.
    """
    if problem_type == "regression":
        return [None] * len(values)
    if problem_type == "multi_label_classification":
        return list(np.abs(2 * values - 1).min(axis=1).tolist())
    ascending = np.sort(values, axis=1)
    return list((ascending[:, -1] - ascending[:, -2]).tolist())
