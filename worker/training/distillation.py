"""What a student learns: what its teacher says of each example, and the label where there is one.

Sources: Hinton et al., Distilling the Knowledge in a Neural Network, 2015, for labels that exclude one another. Several
labels are as many such problems of two; a number has no probabilities, and is learned as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from worker.backend import keras
from worker.training.targets import encode_targets

#: Below it float32 has no logarithm that is finite.
_LEAST_PROBABILITY = 1e-30


def taught_targets(
    answers: np.ndarray,
    told: Sequence[str | None],
    labels: Sequence[str],
    problem_type: str,
    *,
    temperature: float,
    label_weight: float,
) -> np.ndarray:
    """What DistillationLoss takes of each example: float32 [examples, 2 * labels + 1].

    First the teacher's `answers` [examples, labels], which are probabilities, or numbers of a regression, those of
    labels that exclude one another softened by the temperature; then the example's label in the same form, as
    `examples` keeps it in `told`; last the share of the loss that is the label's: `label_weight`, or 0 without one.
    """
    is_told = np.array([label is not None for label in told], bool)
    right = np.zeros_like(answers)
    right[is_told] = _as_values([label for label in told if label is not None], labels, problem_type)
    taught = soften(answers, temperature) if problem_type == SINGLE_LABEL else answers
    return np.concatenate([taught, right, label_weight * is_told[:, None]], axis=1, dtype=np.float32)


def soften(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """The softmax of the logits divided by the temperature, from their softmax [n, labels]: p ** (1 / T), to sum 1."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _LEAST_PROBABILITY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class DistillationLoss(keras.losses.Loss):
    """Of each example the mean of two losses, weighted by the share that its targets tell.

    To the teacher and to the label alike: the cross-entropy of labels that exclude one another; of several labels the
    mean of each one's binary cross-entropy; of a number the squared error. Towards the teacher, the student's logits
    are divided by the temperature as the teacher's were, and the loss is multiplied by its square, without which a
    higher temperature would make the teacher count less (section 2 of Hinton et al.).
    """

    def __init__(self, problem_type: str, temperature: float) -> None:
        super().__init__(name="distillation")
        self._problem_type = problem_type
        self._temperature = temperature

    def call(self, targets: Any, logits: Any) -> Any:
        """The loss of each example [batch], from targets [batch, 2 * labels + 1] and logits [batch, labels]."""
        taught, right = _parts(targets, logits)
        share = targets[:, -1]
        loss = _LOSSES[self._problem_type]
        from_teacher = loss(taught, logits)
        if self._problem_type == SINGLE_LABEL:
            from_teacher = loss(taught, logits / self._temperature) * self._temperature**2
        return share * loss(right, logits) + (1.0 - share) * from_teacher


def taught_metrics_of(problem_type: str) -> list[Any]:
    """What the curve shows beside the loss: `agreement` with the teacher, or the regression's mean absolute error."""
    name, measure = _METRICS[problem_type]
    return [keras.metrics.MeanMetricWrapper(measure, name=name)]


def _as_values(told: Sequence[str], labels: Sequence[str], problem_type: str) -> np.ndarray:
    targets = encode_targets(told, labels, problem_type)
    return np.eye(len(labels), dtype=np.float32)[targets] if problem_type == SINGLE_LABEL else targets


def _parts(targets: Any, logits: Any) -> tuple[Any, Any]:
    count = logits.shape[-1]
    return targets[:, :count], targets[:, count : 2 * count]


def _cross_entropy(values: Any, logits: Any) -> Any:
    return keras.ops.categorical_crossentropy(values, logits, from_logits=True)


def _binary_cross_entropy(values: Any, logits: Any) -> Any:
    return keras.ops.mean(keras.ops.binary_crossentropy(values, logits, from_logits=True), axis=-1)


def _squared_error(values: Any, numbers: Any) -> Any:
    return keras.ops.mean(keras.ops.square(values - numbers), axis=-1)


def _same_label(targets: Any, logits: Any) -> Any:
    """Whether the student says the label that its teacher says: 0 or 1, float32 [batch]."""
    taught, _ = _parts(targets, logits)
    alike = keras.ops.equal(keras.ops.argmax(taught, axis=-1), keras.ops.argmax(logits, axis=-1))
    return keras.ops.cast(alike, "float32")


def _same_labels(targets: Any, logits: Any) -> Any:
    """The same for several labels, each said from one half on."""
    taught, _ = _parts(targets, logits)
    alike = keras.ops.all(keras.ops.equal(taught >= 0.5, logits >= 0.0), axis=-1)
    return keras.ops.cast(alike, "float32")


def _absolute_error(targets: Any, numbers: Any) -> Any:
    """How far the student is from its teacher's number, float32 [batch]."""
    taught, _ = _parts(targets, numbers)
    return keras.ops.mean(keras.ops.abs(taught - numbers), axis=-1)


_LOSSES: Mapping[str, Callable[[Any, Any], Any]] = {
    SINGLE_LABEL: _cross_entropy,
    MULTI_LABEL: _binary_cross_entropy,
    REGRESSION: _squared_error,
}
_METRICS: Mapping[str, tuple[str, Callable[[Any, Any], Any]]] = {
    SINGLE_LABEL: ("agreement", _same_label),
    MULTI_LABEL: ("agreement", _same_labels),
    REGRESSION: ("mae", _absolute_error),
}
