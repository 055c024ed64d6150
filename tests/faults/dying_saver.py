"""A real worker process that is killed while it saves a model: `python -m tests.faults.dying_saver POINT`.

The POINT is `weights`, when half of the weights are written, `config`, when all but the name of config.json is,
or `registry`, when the folder is in its place and the version is not registered.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from safetensors.numpy import save

from worker import process
from worker.checkpoints import durable
from worker.checkpoints import save as saving
from worker.training import finetune


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_within_weights() -> None:
    save_file = durable.save_file

    def torn(tensors: Mapping[str, np.ndarray], path: Path, metadata: Mapping[str, str]) -> None:
        if path.name != "model.safetensors":
            save_file(dict(tensors), path, dict(metadata))
            return
        content = save(dict(tensors), dict(metadata))
        path.write_bytes(content[: len(content) // 2])
        _die()

    _replace(durable, "save_file", torn)


def _die_before_config() -> None:
    def last(path: Path, value: Mapping[str, Any]) -> None:
        saving._write_json(path.with_name(f".{path.name}.partial"), value)
        _die()

    _replace(saving, "_write_last", last)


def _die_before_registering() -> None:
    _replace(finetune, "_publish", _die)


def _replace(module: ModuleType, name: str, fault: Callable[..., None]) -> None:
    # A name that is gone from the module would be set in vain, and nobody would die.
    assert hasattr(module, name), name
    setattr(module, name, fault)


POINTS: dict[str, Callable[[], None]] = {
    "weights": _die_within_weights,
    "config": _die_before_config,
    "registry": _die_before_registering,
}

if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    process.main(["--queues", "train"])
