"""From probabilities to verdicts: the top label, its score, and how sure the model is."""

from collections.abc import Sequence

import numpy as np

from db.predictions import Verdict


def make_verdict(labels: Sequence[str], values: np.ndarray, problem_type: str, tokens: int, truncated: bool) -> Verdict:
    """The verdict for one text from its values, one a label, [classes].

    Values are probabilities, or the raw value for regression. The top label is the one with the
    largest value.
    """
    numbers = [float(value) for value in values]
    top = int(np.argmax(values))
    return Verdict(
        label=labels[top],
        score=numbers[top],
        margin=margin_of(numbers, problem_type),
        probabilities=dict(zip(labels, numbers, strict=True)),
        tokens=tokens,
        truncated=truncated,
    )


def margin_of(values: Sequence[float], problem_type: str) -> float | None:
    """How far the answer is from tipping over, from 0 (a coin flip) to 1; None for regression.

    Between labels that exclude one another it is the distance of the two largest probabilities. Where
    every label stands for itself it is the smallest distance of any probability from one half, doubled.
    """
    if problem_type == "regression":
        return None
    if problem_type == "multi_label_classification":
        return min(abs(2 * value - 1) for value in values)
    first, second = sorted(values, reverse=True)[:2]
    return first - second
