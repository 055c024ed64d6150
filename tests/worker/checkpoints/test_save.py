"""What is saved is a Hugging Face checkpoint, and the same model again."""

import errno
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from db.checkpoint import read_checkpoint_facts
from db.errors import CheckpointError
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.heads import divide_logits
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


def test_a_save_cut_short_at_any_point_leaves_nothing_that_loads(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill leaves on the disk at every point is copied, and shown to the reader of checkpoints."""
    fsync, left = os.fsync, []

    def copy_and_sync(handle: int) -> None:
        left.append(tmp_path / f"left-{len(left)}")
        if (tmp_path / "saved").exists():
            shutil.copytree(tmp_path / "saved", left[-1])
        fsync(handle)

    monkeypatch.setattr(os, "fsync", copy_and_sync)
    save_again(checkpoints / "bert", tmp_path / "saved", max_tokens=33)
    save_again(checkpoints / "bert", tmp_path / "saved", max_tokens=44)  # over one that loads
    # Weights, tokenizer.json, tokenizer_config.json twice, folder, config.json: cut short. Then it is whole.
    assert len(left) == 2 * 7
    for folder in (left[6], left[13]):
        assert read_checkpoint_facts(folder).max_tokens in (33, 44)
    for folder in (*left[:6], *left[7:13]):
        with pytest.raises(CheckpointError, match=r"config\.json is missing"):
            read_checkpoint_facts(folder)


@pytest.mark.parametrize("most_bytes", [60_000, 1_000], ids=["in the weights", "at once"])
def test_what_the_disk_refuses_is_told_by_its_number(checkpoints: Path, tmp_path: Path, most_bytes: int) -> None:
    model = load_classifier(checkpoints / "bert")
    with files_of_at_most(most_bytes), pytest.raises(OSError, match=r"File too large: .*model\.safetensors") as raised:
        save_checkpoint(
            model, checkpoints / "bert", tmp_path / "saved", labels=model.labels, problem_type=model.problem_type
        )
    assert raised.value.errno == errno.EFBIG
    with pytest.raises(CheckpointError):
        read_checkpoint_facts(tmp_path / "saved")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the operating system refuse longer files."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_all_of_a_checkpoint_can_be_read_by_other_users(checkpoints: Path, tmp_path: Path) -> None:
    save_again(checkpoints / "bert", tmp_path / "saved")
    assert len({path.stat().st_mode for path in (tmp_path / "saved").iterdir()}) == 1


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


def test_divided_logits_are_saved_in_the_weights_of_the_last_layer(every_checkpoint: Path, tmp_path: Path) -> None:
    model = load_classifier(every_checkpoint)
    before = logits(model)
    divide_logits(model, 2.5)
    save_checkpoint(model, every_checkpoint, tmp_path, labels=model.labels, problem_type=model.problem_type)
    np.testing.assert_allclose(logits(load_classifier(tmp_path)), before / 2.5, atol=1e-6)
    saved, source = (load_file(path / "model.safetensors") for path in (tmp_path, every_checkpoint))
    last = "classifier.out_proj" if "roberta" in model.family else "classifier"
    changed = {name for name in saved if name.startswith("classifier") and (saved[name] != source[name]).any()}
    assert changed <= {f"{last}.weight", f"{last}.bias"}
    assert f"{last}.weight" in changed
