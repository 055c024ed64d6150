"""What is saved is a Hugging Face checkpoint, and the same model again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from db.checkpoint import read_checkpoint_facts
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.load import load_classifier
from worker.checkpoints.save import save_checkpoint
from worker.errors import CheckpointSaveError


def logits(model: Classifier) -> np.ndarray:
    ids = np.random.default_rng(5).integers(5, model.settings.vocabulary, (4, 11), dtype=np.int32)
    mask = np.ones_like(ids)
    mask[1:, 7:] = 0
    inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": (ids % 2).astype(np.int32)}
    return model({name: inputs[name] for name in model.input}).numpy()


def save_again(source: Path, target: Path, **arguments: Any) -> Classifier:
    model = load_classifier(source)
    save_checkpoint(model, source, target, labels=model.labels, problem_type=model.problem_type, **arguments)
    return model


def shapes(directory: Path) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in load_file(directory / "model.safetensors").items()}


def test_round_trip_keeps_the_logits(every_checkpoint: Path, tmp_path: Path) -> None:
    model = save_again(every_checkpoint, tmp_path / "saved")
    np.testing.assert_array_equal(logits(load_classifier(tmp_path / "saved")), logits(model))


def test_round_trip_keeps_names_and_shapes(every_checkpoint: Path, tmp_path: Path) -> None:
    save_again(every_checkpoint, tmp_path / "saved")
    assert shapes(tmp_path / "saved") == shapes(every_checkpoint)


def test_round_trip_keeps_every_tensor_but_roberta_s_folded_ones(every_checkpoint: Path, tmp_path: Path) -> None:
    model = save_again(every_checkpoint, tmp_path / "saved")
    folded = ("position_embeddings.weight", "token_type_embeddings.weight") if "roberta" in model.family else ()
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    for name, value in load_file(every_checkpoint / "model.safetensors").items():
        if not name.endswith(folded) or not folded:
            np.testing.assert_array_equal(saved[name], value, err_msg=name)


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta"])
def test_roberta_s_token_type_lies_in_the_positions(checkpoints: Path, tmp_path: Path, name: str) -> None:
    save_again(checkpoints / name, tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    source = load_file(checkpoints / name / "model.safetensors")
    positions, types = (f"roberta.embeddings.{kind}_embeddings.weight" for kind in ("position", "token_type"))
    assert not saved[types].any()
    np.testing.assert_array_equal(saved[positions], source[positions] + source[types][0])


def test_round_trip_keeps_what_the_registry_records(every_checkpoint: Path, tmp_path: Path) -> None:
    save_again(every_checkpoint, tmp_path / "saved")
    before, after = read_checkpoint_facts(every_checkpoint), read_checkpoint_facts(tmp_path / "saved")
    for field in ("family", "labels", "problem_type", "max_tokens"):
        assert getattr(after, field) == getattr(before, field)
    assert after.digest != before.digest


def test_weights_say_that_they_are_in_pytorch_s_layout(checkpoints: Path, tmp_path: Path) -> None:
    save_again(checkpoints / "bert", tmp_path / "saved")
    with safe_open(tmp_path / "saved" / "model.safetensors", "np") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_bare_encoder_becomes_a_whole_classifier(bare: Path, checkpoints: Path, tmp_path: Path) -> None:
    model = load_classifier(bare, labels=["no", "yes"], seed=1)
    labels = ["no", "yes"]
    save_checkpoint(model, bare, tmp_path / "saved", labels=labels, problem_type="single_label_classification")
    config = json.loads((tmp_path / "saved" / "config.json").read_text("utf-8"))
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "no", "1": "yes"}
    assert config["label2id"] == {"no": 0, "yes": 1}
    assert config["problem_type"] == "single_label_classification"
    assert config["num_labels"] == 2
    again = load_classifier(tmp_path / "saved")
    assert again.fresh_variables == ()
    assert again.labels == ("no", "yes")
    np.testing.assert_array_equal(logits(again), logits(model))
    assert shapes(tmp_path / "saved").keys() == shapes(checkpoints / "bert").keys()


def test_max_tokens_becomes_the_tokenizer_s(checkpoints: Path, tmp_path: Path) -> None:
    save_again(checkpoints / "bert", tmp_path / "saved", max_tokens=33)
    assert read_checkpoint_facts(tmp_path / "saved").max_tokens == 33


def test_max_tokens_without_a_tokenizer_config(bare: Path, tmp_path: Path) -> None:
    (bare / "tokenizer_config.json").unlink()
    model = load_classifier(bare, labels=["stars"], problem_type="regression")
    save_checkpoint(model, bare, tmp_path / "saved", labels=["stars"], problem_type="regression", max_tokens=33)
    assert read_checkpoint_facts(tmp_path / "saved").max_tokens == 33


@pytest.mark.parametrize(
    ("labels", "problem_type", "words"),
    [
        (["a", "b"], "single_label_classification", "the model has 3 classes"),
        (["a", "a", "b"], "single_label_classification", "the model has 3 classes"),
        (["a", "b", "c"], "ranking", "problem_type 'ranking' does not fit"),
    ],
)
def test_labels_that_do_not_fit(
    checkpoints: Path, tmp_path: Path, labels: list[str], problem_type: str, words: str
) -> None:
    model = load_classifier(checkpoints / "bert")
    with pytest.raises(CheckpointSaveError, match=words):
        save_checkpoint(model, checkpoints / "bert", tmp_path / "saved", labels=labels, problem_type=problem_type)
    assert not (tmp_path / "saved").exists()
