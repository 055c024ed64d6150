"""A smaller model is made of a larger one's layers, for all five families."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.checkpoint import read_checkpoint_facts, read_config
from db.layers import encoder_layers
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.load import load_classifier
from worker.checkpoints.save import save_checkpoint
from worker.checkpoints.shrink import kept_layers
from worker.errors import CheckpointLoadError

Changed = Callable[..., Path]
Tensors = dict[str, np.ndarray]

#: What the script that made DistilBERT takes of twelve layers, and what Shleifer and Rush (2020) take of six.
PUBLISHED = {(12, 6): [0, 2, 4, 7, 9, 11], (12, 3): [0, 6, 11], (6, 3): [0, 2, 5], (6, 2): [0, 5], (6, 1): [0]}
#: Where a stored layer lies.
PLACES = {
    "bert": "bert.encoder.layer",
    "roberta": "roberta.encoder.layer",
    "xlm-roberta": "roberta.encoder.layer",
    "distilbert": "distilbert.transformer.layer",
}


def logits(model: Classifier) -> np.ndarray:
    ids = np.random.default_rng(5).integers(5, model.settings.vocabulary, (4, 11), dtype=np.int32)
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids), "segment_ids": np.zeros_like(ids)}
    return model({name: inputs[name] for name in model.input}).numpy()


def test_layers_are_spread_as_published_students_spread_them() -> None:
    assert {(total, wanted): kept_layers(total, wanted) for total, wanted in PUBLISHED} == PUBLISHED


@given(st.integers(1, 60), st.data())
def test_so_many_different_layers_stay_in_their_order(total: int, data: st.DataObject) -> None:
    wanted = data.draw(st.integers(1, total))
    kept = kept_layers(total, wanted)
    assert kept == sorted(set(kept))
    assert len(kept) == wanted
    assert set(kept) <= set(range(total))
    assert kept[0] == 0
    assert wanted == 1 or kept[-1] == total - 1


def with_layers(place: str, order: list[int]) -> Callable[[Tensors], Tensors]:
    """Tensors whose layers are those of a model of two, in that order; a third is the first one turned about."""

    def change(tensors: Tensors) -> Tensors:
        layers = [
            {name.removeprefix(f"{place}.{at}."): value for name, value in tensors.items() if f"{place}.{at}." in name}
            for at in (0, 1)
        ]
        layers.append({name: np.ascontiguousarray(-value) for name, value in layers[0].items()})
        others = {name: value for name, value in tensors.items() if not name.startswith(f"{place}.")}
        return others | {
            f"{place}.{new}.{name}": value for new, old in enumerate(order) for name, value in layers[old].items()
        }

    return change


@pytest.mark.parametrize("name", PLACES)
def test_the_first_and_the_last_of_three_layers_make_a_model_of_two(
    changed: Changed, name: str, tmp_path: Path
) -> None:
    key = "n_layers" if name == "distilbert" else "num_hidden_layers"
    large = changed(name, with_layers(PLACES[name], [0, 1, 2]), {key: 3})
    student = load_classifier(large, layers=2)
    large.rename(tmp_path / "large")
    by_hand = load_classifier(changed(name, with_layers(PLACES[name], [0, 2]), {key: 2}))
    np.testing.assert_array_equal(logits(student), logits(by_hand))
    assert not np.allclose(logits(student), logits(load_classifier(tmp_path / "large")))


def test_albert_keeps_its_weights_and_repeats_them_less_often(checkpoints: Path, changed: Changed) -> None:
    student = load_classifier(checkpoints / "albert", layers=2)
    by_hand = load_classifier(changed("albert", config={"num_hidden_layers": 2}))
    np.testing.assert_array_equal(logits(student), logits(by_hand))
    assert not np.allclose(logits(student), logits(load_classifier(checkpoints / "albert")))


@pytest.mark.parametrize("name", [*PLACES, "albert"])
def test_a_smaller_model_is_saved_as_what_it_is(checkpoints: Path, tmp_path: Path, name: str) -> None:
    has = encoder_layers(read_config(checkpoints / name))
    half = has.total // 2
    student = load_classifier(checkpoints / name, layers=half)
    assert student.fresh_variables == ()
    save_checkpoint(
        student, checkpoints / name, tmp_path / "s", labels=student.labels, problem_type=student.problem_type
    )
    np.testing.assert_array_equal(logits(load_classifier(tmp_path / "s")), logits(student))
    assert encoder_layers(json.loads((tmp_path / "s" / "config.json").read_text())).total == half
    assert read_checkpoint_facts(tmp_path / "s").labels == student.labels


def test_all_layers_are_the_model_itself(every_checkpoint: Path) -> None:
    total = encoder_layers(read_config(every_checkpoint)).total
    whole = load_classifier(every_checkpoint)
    np.testing.assert_array_equal(logits(load_classifier(every_checkpoint, layers=total)), logits(whole))


def test_what_cannot_be_kept(checkpoints: Path) -> None:
    with pytest.raises(CheckpointLoadError, match="it has 2 layers, of which 3 cannot be kept"):
        load_classifier(checkpoints / "bert", layers=3)
    with pytest.raises(CheckpointLoadError, match="its 2 groups cannot share 3 layers alike"):
        load_classifier(checkpoints / "albert", layers=3)
