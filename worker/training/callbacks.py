"""What happens after every training step: the curve and the state are written, and a lost or ended lease stops it.

At an epoch's end the model is validated too.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from db.training import VALIDATION_PREFIX
from worker import metrics
from worker.backend import keras
from worker.errors import StopRequested
from worker.training.early_stopping import BestEpoch
from worker.training.progress import Progress
from worker.training.state import TrainingStates

#: How often the curve gets a point, which is what a live bar shows.
_POINT_S = 1.0

Write = Callable[[int, int, Mapping[str, float]], None]

log = structlog.get_logger()


class StepMeter(keras.callbacks.Callback):
    """Counts steps, their loss and the seconds of their batches. It comes first, so that no other's time is counted."""

    def __init__(self, model: str, device: str, progress: Progress) -> None:
        super().__init__()
        self._name = model
        self._steps = metrics.TRAINING_STEPS.labels(model)
        self._busy = metrics.DEVICE_BUSY.labels(device, "training")
        self._progress = progress
        self._began = 0.0

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note when the batch begins."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count the batch, and the step if one ends with it."""
        self._busy.inc(time.perf_counter() - self._began)
        if self._progress.ended_step(batch) is not None:
            self._steps.inc()
            metrics.TRAINING_LOSS.labels(self._name).set(float((logs or {}).get("loss", math.nan)))


class CurveWriter(keras.callbacks.Callback):
    """Hands `write(epoch, step, {metric: value})` a point every second and at the end of the fit.

    Steps count from 1 over the whole run, epochs from 1.
    """

    def __init__(self, write: Write, progress: Progress) -> None:
        super().__init__()
        self._write = write
        self._progress = progress
        self._written_at = 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Write a point if the last one is old enough, or this is the last step."""
        step = self._progress.ended_step(batch)
        if step is None:
            return
        if time.monotonic() - self._written_at < _POINT_S and step < self._progress.steps:
            return
        self._written_at = time.monotonic()
        self._write(self._progress.epoch(step), step, {name: float(value) for name, value in (logs or {}).items()})


class StateKeeper(keras.callbacks.Callback):
    """Saves the training's state at every epoch's end, every `every_s` seconds, and when `check` asks for a stop.

    What `check`, called after every step, raises ends the fit. A stop saves the state first; a lost lease does
    not, for somebody else trains by now. A disk that refuses the state does not end the training.
    """

    def __init__(self, states: TrainingStates, check: Callable[[], None], progress: Progress, every_s: float) -> None:
        super().__init__()
        self._states = states
        self._check = check
        self._progress = progress
        self._every_s = every_s
        self._saved_at = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Save if it is time to; raise if the work must end."""
        step = self._progress.ended_step(batch)
        if step is None:
            return
        try:
            self._check()
        except StopRequested:
            self._save(step)
            raise
        if self._progress.ends_epoch(step) or time.monotonic() - self._saved_at >= self._every_s:
            self._save(step)

    def _save(self, step: int) -> None:
        try:
            self._states.save(self.model, step)
        except OSError as error:
            log.warning("training state not saved", action="state_not_saved", step=step, reason=str(error))
        # Counted from the end, so that a slow disk leaves time for training.
        self._saved_at = time.monotonic()


class Validator(keras.callbacks.Callback):
    """Measures the model at every epoch's end, writes that down, and ends the fit when the best epoch says so.

    It comes after the StateKeeper: a state that ends an epoch is one that is not validated yet, so that validation can
    be cut short too. Who goes on from a state lets it `catch_up` first.
    """

    def __init__(
        self, measure: Callable[[], Mapping[str, float]], write: Write, progress: Progress, best: BestEpoch
    ) -> None:
        super().__init__()
        self._measure = measure
        self._write = write
        self._progress = progress
        self._best = best

    def catch_up(self) -> bool:
        """Validate the epoch that the restored state ends, if it does; return whether training is over with it."""
        first = self._progress.first
        return first > 0 and self._progress.ends_epoch(first) and self._validate(first)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Validate if the batch ends an epoch."""
        step = self._progress.ended_step(batch)
        if step is not None and self._progress.ends_epoch(step):
            self.model.stop_training = self._validate(step)

    def _validate(self, step: int) -> bool:
        epoch, scores = self._progress.epoch(step), self._measure()
        if not scores:
            return False
        self._write(epoch, step, {VALIDATION_PREFIX + name: value for name, value in scores.items()})
        return self._best.look(epoch, scores)
