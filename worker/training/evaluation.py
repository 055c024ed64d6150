"""How well answers agree with what is known to be right: the figures of an evaluation. Pure arithmetic."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Bins of the expected calibration error, as many as in its source.
BINS = 15


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`scores` are single figures by name; `details` are what can be told label by label. Both are JSON as they are."""

    scores: Mapping[str, float | None]
    details: dict[str, Any]


def evaluate(values: np.ndarray, targets: np.ndarray, labels: Sequence[str], problem_type: str) -> Evaluation:
    """Compare what `probabilities()` gave, [n, labels], with what is right, of at least one example.

    Single-label, targets int [n]: accuracy, macro_f1 and ece (0 to 1); `per_label`, `confusion` with a row a true
    label and a column a predicted one, and the bins of the ece as `reliability`.
    Multi-label, targets 0 or 1 [n, labels], a label given from one half on: accuracy, which counts an answer as right
    where every label is, micro_f1 and macro_f1; `per_label`.
    Regression, both [n, 1]: mae and rmse, in units of the target, and pearson_r, None where either side is constant.

    A precision, recall or F1 that would be 0/0 is 0. The macro F1 of a single-label problem is taken over the labels
    that occur, as right ones or as answers; scikit-learn does both the same. Raises ValueError for another problem
    type.
    """
    if problem_type not in _EVALUATIONS:
        raise ValueError(f"problem type {problem_type!r} is not one of {', '.join(_EVALUATIONS)}")
    return _EVALUATIONS[problem_type](values.astype(np.float64), targets, labels)


def calibration_bins(values: np.ndarray, targets: np.ndarray) -> list[dict[str, float]]:
    """Of each bin of the top probability that holds an answer: `count`, mean `confidence`, and `accuracy` as a share.

    Bins are (0, 1/15], (1/15, 2/15] and so on.
    """
    confidence = values.max(axis=1).astype(np.float64)
    right = values.argmax(axis=1) == targets
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return [
        {
            "count": int((bins == at).sum()),
            "confidence": float(confidence[bins == at].mean()),
            "accuracy": float(right[bins == at].mean()),
        }
        for at in np.unique(bins)
    ]


def calibration_error(values: np.ndarray, targets: np.ndarray) -> float:
    """How far, on average, the top probability is from the share of such answers that are right; 0 to 1.

    Source: equation 3 of Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    bins = calibration_bins(values, targets)
    return sum(one["count"] * abs(one["accuracy"] - one["confidence"]) for one in bins) / len(values)


def _single_label(values: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> Evaluation:
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (targets, values.argmax(axis=1)), 1)
    hits, given, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    f1 = _f1(hits, given, support)
    scores = {
        "accuracy": float(hits.sum() / confusion.sum()),
        "macro_f1": float(f1[given + support > 0].mean()),
        "ece": calibration_error(values, targets),
    }
    details = {
        "per_label": _per_label(labels, hits, given, support),
        "confusion": confusion.tolist(),
        "reliability": calibration_bins(values, targets),
    }
    return Evaluation(scores, details)


def _multi_label(values: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> Evaluation:
    answers, truth = values >= 0.5, targets.astype(bool)
    counts = (answers & truth).sum(axis=0), answers.sum(axis=0), truth.sum(axis=0)
    scores = {
        "accuracy": float((answers == truth).all(axis=1).mean()),
        "micro_f1": float(_f1(*(one.sum() for one in counts))),
        "macro_f1": float(_f1(*counts).mean()),
    }
    return Evaluation(scores, {"per_label": _per_label(labels, *counts)})


def _regression(values: np.ndarray, targets: np.ndarray, _labels: Sequence[str]) -> Evaluation:
    found, right = values[:, 0], targets[:, 0].astype(np.float64)
    scores = {
        "mae": float(np.abs(found - right).mean()),
        "rmse": float(np.sqrt(np.square(found - right).mean())),
        "pearson_r": _pearson_r(found, right),
    }
    return Evaluation(scores, {})


def _pearson_r(found: np.ndarray, right: np.ndarray) -> float | None:
    if np.ptp(found) == 0 or np.ptp(right) == 0:
        return None
    return float(np.corrcoef(found, right)[0, 1])


def _per_label(
    labels: Sequence[str], hits: np.ndarray, given: np.ndarray, support: np.ndarray
) -> list[dict[str, str | float]]:
    columns = (_share(hits, given), _share(hits, support), _f1(hits, given, support), support)
    names = ("label", "precision", "recall", "f1", "support")
    rows = zip(labels, *(column.tolist() for column in columns), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def _f1(hits: np.ndarray, given: np.ndarray, support: np.ndarray) -> np.ndarray:
    """The harmonic mean of precision and recall."""
    return _share(2 * hits, given + support)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return part / np.maximum(whole, 1)


_EVALUATIONS: Mapping[str, Callable[[np.ndarray, np.ndarray, Sequence[str]], Evaluation]] = {
    "single_label_classification": _single_label,
    "multi_label_classification": _multi_label,
    "regression": _regression,
}
