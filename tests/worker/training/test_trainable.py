"""A frozen encoder leaves training as it came; the head and what the base lacks are trained."""

import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from tests.samples import CHECKPOINTS
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.families import FAMILIES
from worker.checkpoints.load import load_classifier
from worker.training.trainable import freeze_encoder

LABELS = ("bad", "good")


def trained(model: Classifier) -> set[str]:
    return {variable.path for variable in model.trainable_variables}


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "xlm-roberta", "albert"])
def test_only_the_head_can_move(name: str) -> None:
    model = load_classifier(CHECKPOINTS / name, labels=LABELS)
    freeze_encoder(model)
    assert trained(model) == {slot.variable for slot in FAMILIES[name].head}


def test_a_pooler_that_the_base_lacks_is_trained_too(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(CHECKPOINTS / "bert", base)
    tensors = load_file(base / "model.safetensors")
    bare = {name: value for name, value in tensors.items() if not name.startswith(("bert.pooler", "classifier"))}
    save_file(bare, base / "model.safetensors")
    model = load_classifier(base, labels=LABELS)
    freeze_encoder(model)
    assert trained(model) == {"logits/kernel", "logits/bias", "pooled_dense/kernel", "pooled_dense/bias"}
