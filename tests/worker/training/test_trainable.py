"""A frozen encoder leaves training as it came; the head and what the base lacks are trained."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.samples import CHECKPOINTS
from tests.worker.training.one_step import train_one_step
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.families import FAMILIES
from worker.checkpoints.load import load_classifier
from worker.training.trainable import freeze_encoder

LABELS = ("bad", "good")


def changed(before: dict[str, np.ndarray], model: Classifier) -> set[str]:
    now = {path: variable.numpy() for path, variable in model.variables_by_path().items()}
    return {path for path, value in before.items() if not np.array_equal(now[path], value)}


def values(model: Classifier) -> dict[str, np.ndarray]:
    return {path: variable.numpy() for path, variable in model.variables_by_path().items()}


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "xlm-roberta", "albert"])
def test_only_the_head_moves(name: str) -> None:
    model = load_classifier(CHECKPOINTS / name, labels=LABELS)
    freeze_encoder(model)
    before = values(model)
    train_one_step(model)
    assert changed(before, model) == {slot.variable for slot in FAMILIES[name].head}
    assert len(model.optimizer.variables) < 4 * len(FAMILIES[name].head) + 3


def test_a_pooler_that_the_base_lacks_is_trained_too(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(CHECKPOINTS / "bert", base)
    tensors = load_file(base / "model.safetensors")
    bare = {name: value for name, value in tensors.items() if not name.startswith(("bert.pooler", "classifier"))}
    save_file(bare, base / "model.safetensors")
    model = load_classifier(base, labels=LABELS)
    freeze_encoder(model)
    trained = {variable.path for variable in model.trainable_variables}
    assert trained == {"logits/kernel", "logits/bias", "pooled_dense/kernel", "pooled_dense/bias"}
