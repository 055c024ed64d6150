"""Adapters change query and value kernels by a matrix of low rank, and are gone from what is saved."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.samples import CHECKPOINTS
from tests.worker.training.one_step import INPUTS, train_one_step
from worker.checkpoints.classifier import Classifier, input_names
from worker.checkpoints.load import load_classifier
from worker.checkpoints.save import save_checkpoint, stored_tensors
from worker.engines.base import Batch
from worker.engines.tensorflow import TensorFlowEngine
from worker.training.lora import add_adapters, merge_adapters
from worker.training.trainable import freeze_encoder

LABELS = ("bad", "good")
RANK = 2
FAMILIES = ("bert", "distilbert", "roberta", "xlm-roberta", "albert")
#: The weights of the query and value projections, and of the head, as the families store them.
ADAPTED = re.compile(r".*\.(query|value|q_lin|v_lin)\.weight")
HEAD = re.compile(r"(classifier|pre_classifier)\..*")


def adapted(name: str, seed: int = 0) -> Classifier:
    model = load_classifier(CHECKPOINTS / name, labels=LABELS)
    freeze_encoder(model)
    add_adapters(model, RANK, seed)
    return model


def logits(model: Classifier) -> np.ndarray:
    return model({name: INPUTS[name] for name in input_names(model.family)}, training=False).numpy()


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_saved_says_what_was_trained(name: str, tmp_path: Path) -> None:
    base, model = load_classifier(CHECKPOINTS / name, labels=LABELS), adapted(name)
    before = logits(model)
    np.testing.assert_allclose(before, logits(base), atol=1e-6)
    train_one_step(model)
    trained = logits(model)
    assert np.abs(trained - before).max() > 0.01
    merge_adapters(model)
    merge_adapters(model)  # there is nothing left to merge
    save_checkpoint(model, CHECKPOINTS / name, tmp_path, labels=LABELS, problem_type=model.problem_type)
    batch = Batch(INPUTS["token_ids"], INPUTS["segment_ids"], INPUTS["padding_mask"])
    np.testing.assert_allclose(TensorFlowEngine(tmp_path).logits(batch), trained, atol=1e-5)
    only_query_value_and_head_changed(stored_tensors(base), load_file(tmp_path / "model.safetensors"), base)


def only_query_value_and_head_changed(
    before: dict[str, np.ndarray], after: dict[str, np.ndarray], base: Classifier
) -> None:
    """And the first two by a matrix of low rank a head."""
    assert after.keys() == before.keys()
    changed = {tensor for tensor, value in before.items() if not np.array_equal(after[tensor], value)}
    assert changed == {tensor for tensor in before if ADAPTED.fullmatch(tensor) or HEAD.fullmatch(tensor)}
    for tensor in filter(ADAPTED.fullmatch, changed):
        by_head = (after[tensor] - before[tensor]).reshape(base.settings.heads, -1, after[tensor].shape[1])
        assert {np.linalg.matrix_rank(one, tol=1e-5) for one in by_head} == {RANK}


def test_adapters_are_drawn_from_the_seed() -> None:
    first, again, other = (
        [variable.numpy() for variable in adapted("bert", seed).trainable_variables] for seed in (3, 3, 4)
    )
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))
    kernels = [one for one in first if one.ndim == 3]
    assert not any(np.array_equal(one, two) for one, two in pairwise(kernels))
