"""The guard: whether a lower precision says of real reviews what float32 says. Pure arithmetic on probabilities."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Limits:
    """What a lower precision may cost.

    `sure_margin` is the margin from which float32 is sure of a label; `sure_flips` the share of those reviews that
    may get another; the drifts are of a probability (of a regression's value, in its standard deviations);
    `accuracy_drop` is a share of the reviews whose label is known.
    """

    sure_margin: float = 0.2
    sure_flips: float = 0.001
    mean_drift: float = 0.015
    p99_drift: float = 0.08
    accuracy_drop: float = 0.005


@dataclass(frozen=True, slots=True)
class Comparison:
    """A lower precision beside float32 on the same reviews."""

    texts: int
    sure: int
    sure_flips: int
    flips: int
    mean_drift: float
    p99_drift: float
    accuracy_drop: float | None

    def objection(self, limits: Limits) -> str | None:
        """Why this precision may not serve; None if it may."""
        share = self.sure_flips / self.sure if self.sure else 0.0
        if not np.isfinite([self.mean_drift, self.p99_drift]).all():
            return "some of its numbers are not finite"
        if share > limits.sure_flips:
            return f"{self.sure_flips:,} of {self.sure:,} sure labels change"
        if self.mean_drift > limits.mean_drift:
            return f"probabilities drift by {self.mean_drift:.4f} on average"
        if self.p99_drift > limits.p99_drift:
            return f"one probability in a hundred drifts by {self.p99_drift:.4f} or more"
        if self.accuracy_drop is not None and self.accuracy_drop > limits.accuracy_drop:
            return f"accuracy falls by {self.accuracy_drop:.2%}"
        return None


def compare(
    reference: np.ndarray,
    candidate: np.ndarray,
    problem_type: str,
    limits: Limits,
    accuracy_drop: float | None = None,
) -> Comparison:
    """Compare two engines' values for the same reviews, each float32 [reviews, classes] after probabilities()."""
    drift = np.abs(candidate - reference)
    if problem_type == "regression":
        drift = drift / max(float(reference.std()), 1e-6)
    flips, sure, sure_flips = _flips(reference, candidate, problem_type, limits.sure_margin)
    # The worst label of each review: a mean over many labels would hide it.
    worst = drift.max(axis=1)
    return Comparison(
        texts=len(reference),
        sure=int(sure.sum()),
        sure_flips=int(sure_flips.sum()),
        flips=int(flips.sum()),
        mean_drift=float(drift.mean()),
        p99_drift=float(np.quantile(worst, 0.99)),
        accuracy_drop=accuracy_drop,
    )


def _flips(
    reference: np.ndarray, candidate: np.ndarray, problem_type: str, sure_margin: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each review, bool [reviews]: whether a label changes, whether float32 is sure of one, and whether of such."""
    if problem_type == "regression":
        none = np.zeros(len(reference), dtype=bool)
        return none, none, none
    if problem_type == "multi_label_classification":
        changed = (reference >= 0.5) != (candidate >= 0.5)
        sure = np.abs(2 * reference - 1) >= sure_margin
        return changed.any(axis=1), sure.any(axis=1), (changed & sure).any(axis=1)
    ordered = np.sort(reference, axis=1)
    changed = reference.argmax(axis=1) != candidate.argmax(axis=1)
    sure = ordered[:, -1] - ordered[:, -2] >= sure_margin
    return changed, sure, changed & sure


def accuracy_drop(reference: np.ndarray, candidate: np.ndarray, labels: np.ndarray) -> float:
    """By how much fewer of the known labels, int [reviews], the candidate hits, as a share of all."""
    return float((reference.argmax(axis=1) == labels).mean() - (candidate.argmax(axis=1) == labels).mean())
