"""The best epoch's weights are kept, whatever comes after, and waiting ends."""

import numpy as np
import pytest

from tests.samples import CHECKPOINTS
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.load import load_classifier
from worker.training.early_stopping import BestEpoch
from worker.training.trainable import freeze_encoder


@pytest.fixture
def model() -> Classifier:
    return load_classifier(CHECKPOINTS / "bert")


def weights(model: Classifier) -> list[np.ndarray]:
    return [variable.numpy() for variable in model.weights]


def run(model: Classifier, best: BestEpoch, metric: str, values: list[float]) -> tuple[list[bool], list[list]]:
    """Look at an epoch of each value, with other weights at each; return what was said, and those weights."""
    said, seen = [], []
    for epoch, value in enumerate(values, start=1):
        for variable in model.trainable_variables:
            variable.assign_add(np.ones(variable.shape))
        seen.append(weights(model))
        said.append(best.look(epoch, {metric: value, "another": -value}))
    return said, seen


@pytest.mark.parametrize(
    ("metric", "values", "patience", "said", "kept"),
    [
        ("loss", [0.9, 0.5, 0.6], 1, [False, False, True], 2),
        ("mae", [0.9, 0.9, 0.8, 0.81, 0.8], 2, [False, False, False, False, True], 3),
        ("accuracy", [0.5, 0.7, 0.7, 0.6], 2, [False, False, False, True], 2),
        ("macro_f1", [0.0, 0.0], 1, [False, True], 1),
    ],
)
def test_the_first_of_the_best_epochs_is_kept(
    model: Classifier, metric: str, values: list[float], patience: int, said: list[bool], kept: int
) -> None:
    best = BestEpoch(model, metric, patience)
    found, seen = run(model, best, metric, values)
    assert found == said
    assert best.put_back() == {"kept_epoch": kept, "trained_epochs": len(values)}
    for before, after in zip(seen[kept - 1], weights(model), strict=True):
        np.testing.assert_array_equal(after, before)


def test_its_variables_are_all_that_it_knows(model: Classifier) -> None:
    best = BestEpoch(model, "loss", 2)
    _, seen = run(model, best, "loss", [0.9, 0.5, 0.6])
    heir = BestEpoch(model, "loss", 2)
    for mine, theirs in zip(heir.variables, best.variables, strict=True):
        mine.assign(theirs.numpy())
    assert heir.look(4, {"loss": 0.55})
    assert heir.put_back() == {"kept_epoch": 2, "trained_epochs": 4}
    for before, after in zip(seen[1], weights(model), strict=True):
        np.testing.assert_array_equal(after, before)


def test_frozen_weights_need_not_be_kept(model: Classifier) -> None:
    freeze_encoder(model)
    assert len(BestEpoch(model, "loss", 1).variables) == 2 + 2


def test_without_a_metric_training_goes_on_to_its_end(model: Classifier) -> None:
    best = BestEpoch(model, None, 1)
    before = weights(model)
    assert [best.look(epoch, {"loss": float(epoch)}) for epoch in (1, 2, 3)] == [False] * 3
    assert (best.put_back(), best.variables) == ({}, [])
    for was, is_now in zip(before, weights(model), strict=True):
        np.testing.assert_array_equal(is_now, was)
