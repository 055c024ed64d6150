"""What a model version says of a review, in the form in which `examples` and `corrections` keep a label."""

from collections.abc import Mapping

from db.checkpoint import MULTI_LABEL, REGRESSION
from db.labels import join_labels

#: The probability from which a label of a multi-label model is said to fit.
HALF = 0.5


def labels_at_one_half(probabilities: Mapping[str, float]) -> str:
    """Every label that a multi-label model says fits, joined."""
    return join_labels(name for name, value in probabilities.items() if value >= HALF)


def answer_of(problem_type: str, label: str, probabilities: Mapping[str, float]) -> str:
    """The one label that fits best, every label that fits, or the number, by the kind of model."""
    if problem_type == MULTI_LABEL:
        return labels_at_one_half(probabilities)
    return repr(float(probabilities[label])) if problem_type == REGRESSION else label
