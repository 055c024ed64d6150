"""Changed copies of the tiny checkpoints."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

Tensors = dict[str, np.ndarray]
CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"


@pytest.fixture(scope="session")
def checkpoints() -> Path:
    return CHECKPOINTS


@pytest.fixture(params=sorted(path.parent.name for path in CHECKPOINTS.glob("*/reference.json")))
def every_checkpoint(request: pytest.FixtureRequest) -> Path:
    return CHECKPOINTS / request.param


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """Copy a checkpoint, its tensors passed through a function and config keys set; None removes a key."""

    def change(
        name: str,
        tensors: Callable[[Tensors], Tensors] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Path:
        directory = tmp_path / f"changed-{name}"
        shutil.copytree(CHECKPOINTS / name, directory)
        if tensors:
            weights = directory / "model.safetensors"
            save_file(tensors(load_file(weights)), weights, metadata={"format": "pt"})
        if config:
            _set(directory / "config.json", config)
        return directory

    return change


def _set(path: Path, changes: Mapping[str, Any]) -> None:
    merged = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}), "utf-8")


@pytest.fixture
def bare(changed: Callable[..., Path]) -> Path:
    """A bare BERT encoder: no head, no prefix, and the integer buffer that old checkpoints have."""

    def strip(tensors: Tensors) -> Tensors:
        kept = {name.removeprefix("bert."): value for name, value in tensors.items() if name.startswith("bert.")}
        return kept | {"embeddings.position_ids": np.arange(64)[None, :]}

    return changed("bert", strip, {"id2label": None, "label2id": None, "architectures": ["BertModel"]})
