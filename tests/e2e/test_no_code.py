"""Planted models: whatever lies in a checkpoint's folder, nothing of it is run, and nothing but safetensors is read."""

import json
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.samples import CHECKPOINTS
from worker.checkpoints.load import load_classifier
from worker.checkpoints.tokenizer import load_tokenizer
from worker.errors import CheckpointLoadError

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
CLASSES = {
    "AutoConfig": "configuration_evil.EvilConfig",
    "AutoModel": "modeling_evil.EvilModel",
    "AutoModelForSequenceClassification": "modeling_evil.EvilForSequenceClassification",
    "AutoTokenizer": ["tokenization_evil.EvilTokenizer", "tokenization_evil.EvilTokenizerFast"],
}
SCRIPTS = ("configuration_evil", "modeling_evil", "tokenization_evil", "tokenizer_evil", "conftest", "sitecustomize")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that is there once planted code has run."""
    return tmp_path / "canary"


class Planted:
    """Unpickled, it writes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple:
        return exec, (f"open({str(self.canary)!r}, 'w').close()",)


@pytest.fixture
def plant(tmp_path: Path, canary: Path) -> Callable[..., Path]:
    """A copy of a checkpoint with code and pickles beside it, and what is changed in its two configs."""

    def copy(name: str, config: dict, tokenizer: dict, *left_out: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(BERT, folder, ignore=shutil.ignore_patterns(*left_out))
        for file, changed in (("config.json", config), ("tokenizer_config.json", tokenizer)):
            told = json.loads((folder / file).read_text())
            (folder / file).write_text(json.dumps(told | changed))
        for script in SCRIPTS:
            code = f"open({str(canary)!r}, 'w').close()\nclass EvilTokenizer: pass\n"
            (folder / f"{script}.py").write_text(code)
        bomb = pickle.dumps(Planted(canary))
        for file in ("pytorch_model.bin", "tokenizer.pkl", "vocab.pkl", "training_args.bin", "optimizer.pt"):
            (folder / file).write_bytes(bomb)
        return folder

    return copy


def test_the_plants_would_bear(canary: Path, plant: Callable[..., Path]) -> None:
    folder = plant("evil", {}, {})
    pickle.loads((folder / "vocab.pkl").read_bytes())
    assert canary.exists()
    canary.unlink()
    exec((folder / "modeling_evil.py").read_text())
    assert canary.exists()


def test_code_that_comes_with_a_model_is_not_run(
    run: Run, tmp_path: Path, canary: Path, plant: Callable[..., Path]
) -> None:
    custom = {"auto_map": CLASSES, "custom_pipelines": {"text-classification": {"impl": "modeling_evil.Evil"}}}
    folder = plant("evil", custom, {"auto_map": {"AutoTokenizer": CLASSES["AutoTokenizer"]}})
    (tmp_path / "reviews.csv").write_text("body\nwonderful\nterrible\n")
    assert run("models", "add", folder, "--name", "evil").returncode == 0
    assert not canary.exists()
    done = run("score", "reviews.csv", "--text", "body", "--model", "evil", "--json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["scored"] == 2
    assert not canary.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"auto_map": {"AutoTokenizer": CLASSES["AutoTokenizer"]}, "tokenizer_class": "EvilTokenizer"},
        {"auto_map": {"AutoTokenizer": ["tokenizer_evil.EvilTokenizer", None]}, "tokenizer_class": None},
        {"tokenizer_class": "TransfoXLTokenizer"},
        {"tokenizer_class": "EvilTokenizer", "vocab_file": "vocab.pkl"},
    ],
)
def test_no_class_that_a_config_names_is_fetched_from_the_folder(
    canary: Path, plant: Callable[..., Path], changed: dict
) -> None:
    folder = plant("evil", {"auto_map": CLASSES}, changed, "vocab.txt")
    load_classifier(folder)
    with suppress(CheckpointLoadError):
        load_tokenizer(folder)
    assert not canary.exists()


def test_a_tokenizer_that_is_a_pickle_is_one_line(canary: Path, plant: Callable[..., Path]) -> None:
    folder = plant("evil", {}, {})
    for name in ("tokenizer.json", "vocab.txt"):
        if (folder / name).exists():
            (folder / name).write_bytes(pickle.dumps(Planted(canary)))
    with pytest.raises(CheckpointLoadError, match="the tokenizer cannot be read") as caught:
        load_tokenizer(folder)
    assert "\n" not in str(caught.value)
    assert not canary.exists()


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "tf_model.h5", "model.keras", "flax_model.msgpack", None])
def test_other_weights_are_refused(
    run: Run, canary: Path, plant: Callable[..., Path], tmp_path: Path, weights: str | None
) -> None:
    folder = plant("evil", {}, {}, "*.safetensors")
    for path in folder.glob("*.bin"):
        path.unlink()
    if weights is not None:
        (folder / weights).write_bytes(pickle.dumps(Planted(canary)))
    (tmp_path / "reviews.csv").write_text("body\nwonderful\n")
    for command in (
        ("models", "add", folder, "--name", "evil"),
        ("score", "reviews.csv", "--text", "body", "--model", folder, "--no-wait"),
        ("finetune", "reviews.csv", "--text", "body", "--label", "body", "--name", "m", "--base", folder, "--no-wait"),
    ):
        result = run(*command)
        assert (result.returncode, result.stdout) == (2, ""), result
        assert "weights must be safetensors (model.safetensors, or shards with" in result.stderr
        assert "Traceback" not in result.stderr
    with pytest.raises(CheckpointLoadError, match="weights must be safetensors"):
        load_classifier(folder)
    assert not canary.exists()


def test_safetensors_that_are_a_pickle_are_refused(run: Run, canary: Path, plant: Callable[..., Path]) -> None:
    folder = plant("evil", {}, {})
    (folder / "model.safetensors").write_bytes(pickle.dumps(Planted(canary)))
    result = run("models", "add", folder, "--name", "evil")
    assert result.returncode == 2
    assert "is not a whole safetensors file" in result.stderr
    assert not canary.exists()
