"""The examples on which a model is wrong, the surest first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

#: As many as a person reads.
_SHOWN = 20

Mistake = dict[str, Any]


def worst_mistakes(
    values: np.ndarray, targets: np.ndarray, review_ids: Sequence[int], labels: Sequence[str], problem_type: str
) -> list[Mistake]:
    """The 20 worst mistakes as JSON: `review_id`, `right` and `predicted`, and `probability`. Shapes as in `evaluate`.

    Single-label: the wrong labels with the highest probability. Multi-label: `right` and `predicted` are lists of
    labels, and the probability is that of the wrongest decision on a label. Regression: the largest errors, without
    a probability.
    """
    return _MISTAKES[problem_type](values.astype(np.float64), targets, review_ids, labels)[:_SHOWN]


def _single_label(
    values: np.ndarray, targets: np.ndarray, review_ids: Sequence[int], labels: Sequence[str]
) -> list[Mistake]:
    predicted, sureness = values.argmax(axis=1), values.max(axis=1)
    return [
        _mistake(review_ids[at], labels[targets[at]], labels[predicted[at]], sureness[at])
        for at in _descending(sureness, predicted != targets)
    ]


def _multi_label(
    values: np.ndarray, targets: np.ndarray, review_ids: Sequence[int], labels: Sequence[str]
) -> list[Mistake]:
    answers, truth = values >= 0.5, targets.astype(bool)
    sureness = np.where(answers != truth, np.maximum(values, 1 - values), 0.0).max(axis=1)
    return [
        _mistake(review_ids[at], _chosen(labels, truth[at]), _chosen(labels, answers[at]), sureness[at])
        for at in _descending(sureness, sureness > 0)
    ]


def _regression(
    values: np.ndarray, targets: np.ndarray, review_ids: Sequence[int], _labels: Sequence[str]
) -> list[Mistake]:
    error = np.abs(values - targets)[:, 0]
    return [
        _mistake(review_ids[at], float(targets[at, 0]), float(values[at, 0]), None)
        for at in _descending(error, error > 0)
    ]


def _descending(sizes: np.ndarray, wrong: np.ndarray) -> list[int]:
    """The places that are wrong, the largest size first; of equals the first first."""
    order = np.argsort(-sizes, kind="stable")
    return [int(at) for at in order[wrong[order]]]


def _chosen(labels: Sequence[str], mask: np.ndarray) -> list[str]:
    return [label for label, is_chosen in zip(labels, mask, strict=True) if is_chosen]


def _mistake(review_id: int, right: Any, predicted: Any, probability: float | None) -> Mistake:
    sureness = None if probability is None else float(probability)
    return {"review_id": review_id, "right": right, "predicted": predicted, "probability": sureness}


_MISTAKES: Mapping[str, Callable[[np.ndarray, np.ndarray, Sequence[int], Sequence[str]], list[Mistake]]] = {
    "single_label_classification": _single_label,
    "multi_label_classification": _multi_label,
    "regression": _regression,
}
