"""The state of a training run: everything that makes it go on as if it had never been interrupted."""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from safetensors import SafetensorError, safe_open

from db.durable import sync
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.durable import write_tensors
from worker.errors import TrainingStateError

_ATTEMPT = re.compile(r"attempt-(\d+)")
_STEP = re.compile(r"step-(\d+)\.safetensors")

log = structlog.get_logger()


def fingerprint(params: Mapping[str, Any], base_digest: str) -> str:
    """A digest of what a job trains, and from which base: a state of anything else is of no use to it."""
    told = json.dumps({"params": params, "base": base_digest}, sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


class TrainingStates:
    """The saved states of one job, in `FOLDER/attempt-A/step-S.safetensors`, as one attempt at it sees them.

    An attempt writes to a folder of its own and removes those of earlier attempts only, so that one that has
    lost its lease without knowing cannot spoil the states of its heir. Only the newest state is kept. `beside` are
    variables of the training that are neither the model's nor its optimizer's.
    """

    def __init__(self, folder: Path, attempt: int, fingerprint: str, beside: Sequence[Any] = ()) -> None:
        self._folder = folder
        self._attempt = attempt
        self._fingerprint = fingerprint
        self._beside = beside
        self._own = folder / f"attempt-{attempt}"
        self._opened = False

    def save(self, model: Classifier, step: int) -> None:
        """Write the state of a compiled model after `step` steps, whole or not at all. Raises OSError."""
        started = time.monotonic()
        if not self._opened:
            # Once only: a folder that is gone later went with the job.
            self._own.mkdir(parents=True, exist_ok=True)
            self._opened = True
        place = self._own / f"step-{step}.safetensors"
        self._write(place, model, step)
        self._keep_only(place)
        seconds = round(time.monotonic() - started, 2)
        log.info("training state saved", action="state_saved", step=step, attempt=self._attempt, seconds=seconds)

    def restore(self, model: Classifier) -> int:
        """Put the newest state that is whole and fits into a compiled model; return its step, 0 without one."""
        for path in self._newest_first():
            try:
                step = self._read(path, model)
            except (TrainingStateError, SafetensorError, OSError) as error:
                log.warning("training state skipped", action="state_skipped", path=str(path), reason=str(error))
                continue
            log.info("training resumed", action="training_resumed", step=step, path=str(path))
            return step
        return 0

    def _write(self, place: Path, model: Classifier, step: int) -> None:
        values = {name: np.asarray(variable.numpy(), order="C") for name, variable in self._variables(model).items()}
        about = {"fingerprint": self._fingerprint, "step": str(step)}
        beside = place.with_name(f".{place.name}.partial")
        try:
            write_tensors(beside, values, about)
            beside.rename(place)
            sync(self._own)
        except OSError:
            # A full disk has no room for half a state.
            beside.unlink(missing_ok=True)
            raise

    def _keep_only(self, place: Path) -> None:
        for path in self._own.iterdir():
            if path != place:
                path.unlink(missing_ok=True)
        for attempt, folder in _numbered(self._folder, _ATTEMPT):
            if attempt < self._attempt:
                shutil.rmtree(folder, ignore_errors=True)

    def _newest_first(self) -> Iterator[Path]:
        for _, folder in sorted(_numbered(self._folder, _ATTEMPT), reverse=True):
            for _, path in sorted(_numbered(folder, _STEP), reverse=True):
                yield path

    def _read(self, path: Path, model: Classifier) -> int:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            if about.get("fingerprint") != self._fingerprint:
                raise TrainingStateError("it is of another training")
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (the handle is no mapping)
        _put(values, self._variables(model))
        return int(about["step"])

    def _variables(self, model: Classifier) -> dict[str, Any]:
        """Every variable that training changes: weights, the random states of dropout layers, and the optimizer's.

        Frozen weights are the base's. By number: the paths that Keras gives them count up from model to model of a
        process.
        """
        frozen = {id(weight) for weight in model.weights if not weight.trainable}
        changing = [variable for variable in model.variables if id(variable) not in frozen]
        parts = {"model": changing, "optimizer": model.optimizer.variables, "beside": self._beside}
        return {f"{part}.{at:05}": variable for part, found in parts.items() for at, variable in enumerate(found)}


def _numbered(folder: Path, pattern: re.Pattern[str]) -> list[tuple[int, Path]]:
    """What lies in the folder under names of that pattern, each with the number in its name."""
    if not folder.is_dir():
        return []
    found = [(pattern.fullmatch(path.name), path) for path in folder.iterdir()]
    return [(int(match[1]), path) for match, path in found if match]


def _put(values: Mapping[str, np.ndarray], variables: Mapping[str, Any]) -> None:
    if values.keys() != variables.keys():
        raise TrainingStateError(f"it holds {len(values)} variables; the training has {len(variables)}")
    for name, variable in variables.items():
        if values[name].shape != tuple(variable.shape) or str(values[name].dtype) != variable.dtype:
            found = f"{values[name].dtype} {list(values[name].shape)}"
            raise TrainingStateError(f"{name} is {found}; it must be {variable.dtype} {list(variable.shape)}")
    for name, variable in variables.items():
        variable.assign(values[name])
