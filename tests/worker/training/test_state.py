"""Saved states of a training: which one is taken, and which is refused."""

from pathlib import Path

import numpy as np
import pytest

from tests.samples import CHECKPOINTS
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.load import load_classifier
from worker.training.fit import compile_classifier
from worker.training.state import TrainingStates, fingerprint

MARK = fingerprint({"steps": 6}, "a digest")


def new_model(base: str = "bert", labels: tuple[str, ...] = ("bad", "good")) -> Classifier:
    model = load_classifier(CHECKPOINTS / base, labels=labels, seed=3)
    compile_classifier(model, {"learning_rate": 1e-3, "steps": 6, "accumulate": 1})
    return model


def values(model: Classifier) -> list[np.ndarray]:
    return [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]


def stir(model: Classifier) -> None:
    """Change every variable, as training does."""
    for variable in (*model.variables, *model.optimizer.variables):
        variable.assign(variable + 1)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def model() -> Classifier:
    """A model in training, some steps on."""
    model = new_model()
    stir(model)
    return model


def test_every_variable_comes_back(model: Classifier, tmp_path: Path) -> None:
    TrainingStates(tmp_path / "new", 1, MARK).save(model, 4)
    again = new_model()
    assert TrainingStates(tmp_path / "new", 2, MARK).restore(again) == 4
    kept = values(model)
    assert len(kept) == len(values(again)) > 80
    for before, after in zip(kept, values(again), strict=True):
        np.testing.assert_array_equal(after, before)


def test_the_newest_attempt_s_newest_state_is_taken_and_nothing_else_kept(model: Classifier, tmp_path: Path) -> None:
    for step in (9, 10):
        TrainingStates(tmp_path, 9, MARK).save(model, step)
    assert files(tmp_path) == ["attempt-9/step-10.safetensors"]
    (tmp_path / "attempt-9" / ".tmpXYZ").touch()  # of a write that was killed
    heir = TrainingStates(tmp_path, 10, MARK)
    assert heir.restore(model) == 10
    heir.save(model, 8)
    assert files(tmp_path) == ["attempt-10/step-8.safetensors"]
    assert TrainingStates(tmp_path, 11, MARK).restore(model) == 8


def test_an_attempt_without_its_lease_cannot_spoil_its_heir_s_state(model: Classifier, tmp_path: Path) -> None:
    zombie = TrainingStates(tmp_path, 1, MARK)
    zombie.save(model, 1)
    heir = TrainingStates(tmp_path, 2, MARK)
    heir.save(model, 3)
    with pytest.raises(FileNotFoundError):
        zombie.save(model, 5)
    assert files(tmp_path) == ["attempt-2/step-3.safetensors"]
    late = TrainingStates(tmp_path, 1, MARK)
    late.save(model, 6)
    assert files(tmp_path) == ["attempt-1/step-6.safetensors", "attempt-2/step-3.safetensors"]
    assert TrainingStates(tmp_path, 3, MARK).restore(model) == 3


def test_a_torn_state_is_passed_over_for_an_older_one(model: Classifier, tmp_path: Path) -> None:
    TrainingStates(tmp_path, 2, MARK).save(model, 4)
    TrainingStates(tmp_path, 1, MARK).save(model, 2)
    newest = tmp_path / "attempt-2" / "step-4.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    assert TrainingStates(tmp_path, 3, MARK).restore(new_model()) == 2


@pytest.mark.parametrize("other", [fingerprint({"steps": 7}, "a digest"), fingerprint({"steps": 6}, "another")])
def test_a_state_of_another_training_is_refused(model: Classifier, tmp_path: Path, other: str) -> None:
    TrainingStates(tmp_path, 1, MARK).save(model, 4)
    assert TrainingStates(tmp_path, 2, other).restore(model) == 0


@pytest.mark.parametrize("other", [("bert", ("a", "b", "c", "d")), ("distilbert", ("bad", "good"))])
def test_a_state_that_does_not_fit_leaves_the_model_alone(
    model: Classifier, tmp_path: Path, other: tuple[str, tuple[str, ...]]
) -> None:
    TrainingStates(tmp_path, 1, MARK).save(model, 4)
    stranger = new_model(*other)
    before = values(stranger)
    assert TrainingStates(tmp_path, 2, MARK).restore(stranger) == 0
    for was, is_now in zip(before, values(stranger), strict=True):
        np.testing.assert_array_equal(is_now, was)
