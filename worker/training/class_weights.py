"""How much each example counts in the loss, where some labels are rarer than others."""

import numpy as np


def example_weights(targets: np.ndarray, scheme: str) -> np.ndarray:
    """The weight of each example in the loss, float32 [examples]; the mean is 1.

    The scheme `none` takes all alike, whatever the targets are. `balanced`, for targets int [examples], lets each
    label that occurs count for as much as any other: n / (labels * examples of the label). Source: King and Zeng,
    Logistic Regression in Rare Events Data, 2001, as compute_class_weight of scikit-learn has it.
    """
    if scheme == "none":
        return np.ones(len(targets), np.float32)
    counts = np.bincount(targets)
    return (len(targets) / (np.count_nonzero(counts) * counts[targets])).astype(np.float32)
