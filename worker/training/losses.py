"""What training makes small, and what it shows of how well it goes, by problem type."""

from collections.abc import Callable, Mapping
from typing import Any

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from worker.backend import keras


def loss_of(problem_type: str) -> keras.losses.Loss:
    """The loss on logits and targets as worker.training.targets encodes them.

    Single-label: cross-entropy over the labels. Multi-label: the mean over the labels of each one's own binary
    cross-entropy. Regression: the squared error. The ones that the models of transformers train with.
    """
    return _LOSSES[problem_type]()


def metrics_of(problem_type: str) -> list[Any]:
    """What the curve shows beside the loss: `accuracy`, `binary_accuracy`, or `mae`, the regression's."""
    return list(_METRICS[problem_type])


def binary_accuracy(targets: Any, logits: Any) -> Any:
    """The share of each example's labels [batch] that are told rightly, from targets and logits [batch, labels].

    Keras's own takes probabilities: it refuses a threshold of 0, which is one half as a logit.
    """
    right = keras.ops.equal(targets > 0.5, logits > 0.0)
    return keras.ops.mean(keras.ops.cast(right, "float32"), axis=-1)


_LOSSES: Mapping[str, Callable[[], keras.losses.Loss]] = {
    SINGLE_LABEL: lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    MULTI_LABEL: lambda: keras.losses.BinaryCrossentropy(from_logits=True),
    REGRESSION: keras.losses.MeanSquaredError,
}
_METRICS: Mapping[str, tuple[Any, ...]] = {
    SINGLE_LABEL: ("accuracy",),
    MULTI_LABEL: (binary_accuracy,),
    REGRESSION: ("mae",),
}
