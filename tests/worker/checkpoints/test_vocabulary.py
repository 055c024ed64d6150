"""A training holds the rows of the tokens that it meets, and what is saved has all of them, for all five families."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.worker.training.one_step import INPUTS
from worker.checkpoints.classifier import Classifier, input_names
from worker.checkpoints.families import FAMILIES, WORDS
from worker.checkpoints.load import load_classifier
from worker.checkpoints.save import save_checkpoint
from worker.checkpoints.tokenizer import Encoded
from worker.checkpoints.vocabulary import met_tokens, renumber
from worker.training.fit import compile_classifier

LABELS, PROBLEM = ("good", "bad"), "single_label_classification"
STEPS, RATE = 3, 0.01
#: Of how far AdamW moves a weight. Where a gradient is nothing but rounding, as that of a key's bias is, it moves too.
NEAR = STEPS * RATE / 50


def some(*ids: int) -> Encoded:
    return Encoded(np.int32(ids), np.zeros(len(ids), np.int32), len(ids), truncated=False)


def test_met_are_those_of_the_texts_and_those_up_to_the_padding() -> None:
    met = met_tokens([some(9, 4, 9), some(7)], padding_id=1)
    assert met.tolist() == [0, 1, 4, 7, 9]
    (first, second) = renumber([some(9, 4, 9), some(7, 1)], met)
    assert (first.ids.tolist(), second.ids.tolist()) == ([4, 2, 4], [3, 1])
    assert (first.ids.dtype, first.length, met.dtype) == (np.int32, 3, np.int32)


def fresh(base: Path, met: np.ndarray | None = None) -> Classifier:
    return load_classifier(base, labels=LABELS, problem_type=PROBLEM, dropout=0.0, met_tokens=met)


def trained(base: Path, met: np.ndarray | None, folder: Path) -> tuple[dict[str, np.ndarray], int]:
    """The tensors that are saved after some steps, and the rows of the token table that were trained."""
    model = fresh(base, met)
    compile_classifier(model, {"learning_rate": RATE, "steps": STEPS, "accumulate": 1})
    ids = INPUTS["token_ids"]
    numbered = ids if met is None else np.searchsorted(met, ids).astype(np.int32)
    inputs = {name: {**INPUTS, "token_ids": numbered}[name] for name in input_names(model.family)}
    model.fit(inputs, np.int32([0, 1]), batch_size=2, epochs=STEPS, verbose=0)
    save_checkpoint(model, base, folder, labels=LABELS, problem_type=PROBLEM)
    return load_file(folder / "model.safetensors"), len(_table(model))


def _table(model: Classifier) -> np.ndarray:
    (slot,) = (slot for slot in FAMILIES[model.family].embeddings if slot.tensor == WORDS)
    return model.variables_by_path()[slot.variable].numpy()


def test_what_is_saved_is_what_a_training_with_the_whole_table_saves(every_checkpoint: Path, tmp_path: Path) -> None:
    padding_id = fresh(every_checkpoint).settings.padding_id
    met = met_tokens([some(*row) for row in INPUTS["token_ids"]], padding_id)
    part, rows = trained(every_checkpoint, met, tmp_path / "part")
    whole, all_rows = trained(every_checkpoint, None, tmp_path / "whole")
    assert rows == len(met) + 1 < all_rows
    assert part.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_allclose(part[name], values, rtol=0, atol=NEAR, err_msg=name)
    # Both trained and decayed: else the comparison would show nothing.
    before = _table(fresh(every_checkpoint))
    (after,) = (values for name, values in part.items() if name.endswith(WORDS))
    others = np.setdiff1d(np.arange(all_rows), met)
    assert 0.999 < float(np.median(after[others] / before[others])) < 0.9999
    assert np.abs(after[met] - before[met]).max() > STEPS * RATE / 2


@pytest.mark.parametrize("name", ["bert"])
def test_a_table_that_is_not_trained_is_saved_as_it_was(checkpoints: Path, tmp_path: Path, name: str) -> None:
    base = checkpoints / name
    model = load_classifier(base, met_tokens=met_tokens([some(2, 7)], padding_id=0))
    save_checkpoint(model, base, tmp_path, labels=model.labels, problem_type=model.problem_type)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path))
    (words,) = (key for key in after if key.endswith(WORDS))
    np.testing.assert_array_equal(after[words], before[words])
