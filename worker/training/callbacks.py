"""What happens after every training step: the curve is written, and a lost or ended lease stops the fit."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from worker.backend import keras

#: How often the curve gets a point, which is what a live bar shows.
_POINT_S = 1.0


class CurveWriter(keras.callbacks.Callback):
    """Hands `write(epoch, step, {metric: value})` a point every second and at the end of the fit.

    Steps count from 1 over the whole fit, epochs from 1.
    """

    def __init__(self, write: Callable[[int, int, Mapping[str, float]], None], steps: int, epochs: int) -> None:
        super().__init__()
        self._write = write
        self._steps = steps
        self._steps_an_epoch = max(1, steps // epochs)
        self._written_at = 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write a point if the last one is old enough, or this is the last step."""
        step = batch + 1
        if time.monotonic() - self._written_at < _POINT_S and step < self._steps:
            return
        self._written_at = time.monotonic()
        epoch = min(batch // self._steps_an_epoch + 1, self._steps)
        self._write(epoch, step, {name: float(value) for name, value in (logs or {}).items()})


class StopCheck(keras.callbacks.Callback):
    """Calls `check` after every step; what it raises ends the fit."""

    def __init__(self, check: Callable[[], None]) -> None:
        super().__init__()
        self._check = check

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Raise if the work must end."""
        self._check()
