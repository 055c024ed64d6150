"""Writes a Keras classifier as a Hugging Face directory that transformers loads without a missing tensor."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from db.checkpoint import PROBLEM_TYPES, normalise_problem_type, read_config, tokenizer_files, weights_files
from db.durable import sync
from db.errors import CheckpointError
from db.layers import LAYER_KEYS
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.durable import write_tensors
from worker.checkpoints.families import FAMILIES, SEGMENT_TYPES, WORDS
from worker.checkpoints.tensors import read_tensors
from worker.checkpoints.vocabulary import put_back
from worker.errors import CheckpointSaveError

#: Keys of the source's config that would be untrue of the new checkpoint, or tell where it lay.
_STALE_KEYS = ("_name_or_path", "_num_labels", "torch_dtype", "finetuning_task")


def save_checkpoint(
    model: Classifier,
    source_directory: Path,
    target_directory: Path,
    *,
    labels: Sequence[str],
    problem_type: str,
    max_tokens: int | None = None,
) -> None:
    """Write config.json, model.safetensors (float32) and the tokenizer into target_directory.

    Config keys other than those of labels and layers, the tokenizer, and the rows of the token table that the model
    was made without, are the source's. max_tokens becomes the tokenizer's model_max_length. Existing files are
    overwritten; write into a new directory and rename it for an atomic change. config.json, without which nothing
    loads, comes last, when all else is on the disk: a write cut short at any point leaves no checkpoint. Raises
    CheckpointSaveError, and OSError where the disk refuses (ENOSPC, EDQUOT).
    """
    _check(model.output_shape[-1], labels, problem_type)
    try:
        config = read_config(source_directory)
        tokenizer = tokenizer_files(source_directory)
    except CheckpointError as error:
        raise CheckpointSaveError(str(error)) from error
    target_directory.mkdir(parents=True, exist_ok=True)
    (target_directory / "config.json").unlink(missing_ok=True)
    # transformers refuses a file that does not say it holds PyTorch's layout.
    tensors = _whole(stored_tensors(model), model, source_directory)
    write_tensors(target_directory / "model.safetensors", tensors, {"format": "pt"})
    _write_tokenizer(tokenizer, target_directory, max_tokens)
    _write_last(target_directory / "config.json", _new_config(config, model, labels, problem_type))


def _check(classes: int, labels: Sequence[str], problem_type: str) -> None:
    if len(labels) != classes or len(set(labels)) != classes:
        raise CheckpointSaveError(f"the model has {classes} classes; give as many different labels, not {len(labels)}")
    if problem_type not in PROBLEM_TYPES or normalise_problem_type(problem_type, classes) != problem_type:
        raise CheckpointSaveError(
            f"problem_type {problem_type!r} does not fit {classes} classes; it must be one of "
            f"{', '.join(PROBLEM_TYPES)}, and not the first with one class"
        )


def stored_tensors(model: Classifier) -> dict[str, np.ndarray]:
    """Return every tensor that the model has, under its stored name and in its stored shape, float32."""
    family, settings, variables = FAMILIES[model.family], model.settings, model.variables_by_path()
    encoder = [*family.encoder_slots(settings.groups, settings.repetitions), *family.pooler]
    slots = [*(slot.prefixed(family.prefix) for slot in encoder), *family.head]
    tensors = {slot.tensor: slot.layout.to_stored(_value(variables[slot.variable])) for slot in slots}
    if family.folds_token_types:
        # The positions hold the sum of both.
        tensors[family.prefix + SEGMENT_TYPES] = np.zeros((settings.segments, settings.hidden), np.float32)
    return tensors


def _whole(tensors: dict[str, np.ndarray], model: Classifier, source: Path) -> dict[str, np.ndarray]:
    """The tensors, with every row of the token table."""
    if model.met_tokens is None:
        return tensors
    name = FAMILIES[model.family].prefix + WORDS
    # A bare encoder's names are without the prefix.
    (table,) = read_tensors(weights_files(source), only={name, WORDS}).values()
    return tensors | {name: put_back(tensors[name], model.met_tokens, table)}


def _value(variable: Any) -> np.ndarray:
    return np.asarray(variable.numpy(), dtype=np.float32)


def _new_config(
    config: Mapping[str, Any], model: Classifier, labels: Sequence[str], problem_type: str
) -> dict[str, Any]:
    family = FAMILIES[model.family]
    kept = {key: value for key, value in config.items() if key not in (*_STALE_KEYS, *LAYER_KEYS)}
    return kept | {
        "architectures": [family.architecture],
        family.layers_key: model.settings.layers,
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
        "num_labels": len(labels),
        "problem_type": problem_type,
        "dtype": "float32",
    }


def _write_tokenizer(files: Sequence[Path], directory: Path, max_tokens: int | None) -> None:
    for path in files:
        shutil.copyfile(path, directory / path.name)
        sync(directory / path.name)
    if max_tokens is not None:
        _set_max_tokens(directory / "tokenizer_config.json", max_tokens)


def _set_max_tokens(path: Path, max_tokens: int) -> None:
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    _write_json(path, config | {"model_max_length": max_tokens})


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sync(path)


def _write_last(path: Path, value: Mapping[str, Any]) -> None:
    """Make the file appear whole, after everything else in its folder."""
    sync(path.parent)
    beside = path.with_name(f".{path.name}.partial")
    _write_json(beside, value)
    beside.rename(path)
    sync(path.parent)
