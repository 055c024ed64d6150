"""The best epoch so far by a metric on the validation examples, and when to wait no longer for a better one."""

from collections.abc import Mapping
from typing import Any

from worker.backend import keras
from worker.checkpoints.classifier import Classifier

_HIGHER_IS_BETTER = {"accuracy", "macro_f1"}


class BestEpoch:
    """Keeps the weights of the epoch with the best value of a metric; of equals, the first.

    Without a metric it keeps nothing, and training goes on to its end.
    """

    def __init__(self, model: Classifier, metric: str | None, patience: int) -> None:
        self._metric = metric
        self._patience = patience
        self._trained = model.trainable_variables if metric else []
        self._weights = [keras.Variable(variable, dtype=variable.dtype, trainable=False) for variable in self._trained]
        #: Counted from 1; 0 before the first look.
        self._epoch = keras.Variable(0, dtype="int32", trainable=False)
        self._value = keras.Variable(0.0, dtype="float64", trainable=False)
        self._seen = 0

    @property
    def variables(self) -> list[Any]:
        """What a saved state of the training must hold of this."""
        return [self._epoch, self._value, *self._weights] if self._metric else []

    def look(self, epoch: int, scores: Mapping[str, float]) -> bool:
        """Keep the model's weights if no epoch was better; return whether it has waited its patience, in epochs."""
        if self._metric is None:
            return False
        self._seen = epoch
        if self._is_better(scores[self._metric]):
            self._epoch.assign(epoch)
            self._value.assign(scores[self._metric])
            _copy(self._trained, self._weights)
        return epoch - int(self._epoch) >= self._patience

    def put_back(self) -> dict[str, int]:
        """Put the best epoch's weights into the model; return `kept_epoch` and `trained_epochs`, from 1."""
        if self._metric is None:
            return {}
        _copy(self._weights, self._trained)
        return {"kept_epoch": int(self._epoch), "trained_epochs": self._seen}

    def _is_better(self, value: float) -> bool:
        if int(self._epoch) == 0:
            return True
        best = float(self._value)
        return value > best if self._metric in _HIGHER_IS_BETTER else value < best


def _copy(sources: list[Any], targets: list[Any]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.assign(source)
