"""Reads the tensors of a checkpoint's safetensors files under the names that transformers uses today."""

from collections.abc import Collection, Iterable
from pathlib import Path

import ml_dtypes  # noqa: F401  (gives numpy the bfloat16 type, which safetensors asks numpy for)
import numpy as np
from safetensors import SafetensorError, safe_open

from worker.errors import CheckpointLoadError

#: Checkpoints converted from the first BERT release, bert-base-uncased among them, name the norms so.
_OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def read_tensors(files: Iterable[Path], only: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read every floating-point tensor, or those of the names in `only`, as float32; raises CheckpointLoadError.

    Integer buffers, such as position_ids in old checkpoints, are no weights and are left out.
    """
    tensors: dict[str, np.ndarray] = {}
    for path in files:
        try:
            tensors.update(_read_file(path, only))
        except (SafetensorError, TypeError, AttributeError) as error:
            raise CheckpointLoadError(f"{path.parent}: {path.name} cannot be read: {error}") from error
    return tensors


def _read_file(path: Path, only: Collection[str] | None) -> dict[str, np.ndarray]:
    with safe_open(path, framework="np") as file:
        return {
            _modern_name(name): file.get_tensor(name).astype(np.float32)
            for name in file.keys()  # noqa: SIM118  (the handle is no mapping)
            if (only is None or _modern_name(name) in only)
            and file.get_slice(name).get_dtype() in ("F32", "F16", "BF16", "F64")
        }


def _modern_name(name: str) -> str:
    for old, new in _OLD_ENDINGS.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
