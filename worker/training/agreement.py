"""How often a student says what its teacher says."""

import numpy as np

from db.checkpoint import MULTI_LABEL, REGRESSION


def agreement(values: np.ndarray, teachers: np.ndarray, problem_type: str) -> dict[str, float]:
    """Compare two models' values for the same examples, each [n, labels] after probabilities().

    `agreement` is the share of examples of which both say the same label, or of several labels the very same ones, each
    said from one half on. Of a regression `teacher_mae` is the mean absolute difference.
    """
    if problem_type == REGRESSION:
        return {"teacher_mae": float(np.abs(values - teachers).mean())}
    if problem_type == MULTI_LABEL:
        return {"agreement": float(((values >= 0.5) == (teachers >= 0.5)).all(axis=1).mean())}
    return {"agreement": float((values.argmax(axis=1) == teachers.argmax(axis=1)).mean())}
