"""A checkpoint that takes some milliseconds a review, so that faults find workers in mid-work.

The small checkpoints of the other tests are inferred in a fraction of one.
"""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from tests.samples import CHECKPOINTS

#: A chunk of 500 takes two seconds of the fastest CPU so far, and progress is written once a second: with half the
#: layers it could be over before anybody saw its middle.
_HIDDEN, _HEADS, _LAYERS, _INTERMEDIATE = 192, 4, 12, 768


def make_slow_checkpoint(directory: Path) -> Path:
    """Make a BERT of the small one's vocabulary and labels, wider and deeper, with random weights."""
    shutil.copytree(CHECKPOINTS / "bert", directory)
    config = json.loads((directory / "config.json").read_text())
    sizes = {
        "hidden_size": _HIDDEN,
        "num_attention_heads": _HEADS,
        "num_hidden_layers": _LAYERS,
        "intermediate_size": _INTERMEDIATE,
    }
    (directory / "config.json").write_text(json.dumps(config | sizes))
    small = load_file(directory / "model.safetensors")
    shapes = _shapes(config, small)
    random = np.random.default_rng(0)
    tensors = {name: _fill(name, shape, random) for name, shape in shapes.items()}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def _shapes(config: dict, small: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The small checkpoint's shapes in the new sizes, its first layer repeated."""
    sizes = {config["hidden_size"]: _HIDDEN, config["intermediate_size"]: _INTERMEDIATE}
    fixed = {small["classifier.bias"].shape[0]} - set(sizes)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in small.items():
        head, layer, tail = name.partition("encoder.layer.")
        shape = tuple(size if size in fixed else sizes.get(size, size) for size in tensor.shape)
        if not layer:
            shapes[name] = shape
        elif tail.startswith("0."):
            shapes |= {f"{head}{layer}{number}{tail[1:]}": shape for number in range(_LAYERS)}
    return shapes


def _fill(name: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if name.endswith("LayerNorm.weight"):
        return np.ones(shape, np.float32)
    return random.normal(0.0, 0.05, shape).astype(np.float32)
