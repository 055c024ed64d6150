"""`reviewmill models export`: a version as a directory, whole or not at all."""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from db.checkpoint import read_checkpoint_facts
from db.registry import register_model
from db.schema import open_database
from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
FILES = ["config.json", "model.safetensors", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json"]
METRICS = {
    "validation_accuracy": 0.87654321,
    "train_examples": 4_312,
    "training_precision": "float32",
    "evaluation": {
        "split": "validation",
        "per_label": [{"label": "a|b", "precision": 0.5, "recall": 0.25, "f1": 0.333, "support": 12}],
    },
}


@pytest.fixture(autouse=True)
def registered(tmp_path: Path) -> Path:
    """The folder of taste@1, in which other files lie too."""
    folder = tmp_path / "registered"
    shutil.copytree(CHECKPOINTS / "bert", folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 33}')
    (folder / "optimizer.pt").touch()
    with open_database().write() as connection:
        facts = read_checkpoint_facts(folder)
        register_model(connection, "taste", folder, facts, kind="finetuned", base="/home/ann/base", metrics=METRICS)
    return folder


def refused(result: CompletedProcess[str]) -> str:
    assert (result.returncode, result.stdout) == (2, ""), result
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert "Traceback" not in result.stderr
    return error


def test_the_files_of_the_version_and_no_others(run: Run, tmp_path: Path, registered: Path) -> None:
    told = run("models", "export", "taste", "there/taste")
    assert told.returncode == 0, told
    assert "taste@1 is in there/taste" in told.stdout
    exported = tmp_path / "there" / "taste"
    assert sorted(path.name for path in exported.parent.iterdir()) == ["taste"]
    assert sorted(path.name for path in exported.iterdir()) == ["README.md", *FILES]
    for name in FILES:
        assert (exported / name).read_bytes() == (registered / name).read_bytes()
    facts = read_checkpoint_facts(exported)
    assert facts == read_checkpoint_facts(registered)
    assert facts.max_tokens == 33


def test_the_card_tells_base_labels_and_figures_and_no_place(run: Run, tmp_path: Path, registered: Path) -> None:
    assert run("models", "export", "taste@1", "taste").returncode == 0
    card = (tmp_path / "taste" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-classification\n---\n")
    lines = card.splitlines()
    for line in (
        "# taste 1",
        "| Base | base |",
        "| Problem | single label classification |",
        "| Labels | negative, neutral, positive |",
        "| Tokens read | 33 |",
        f"| SHA-256 of its files | {read_checkpoint_facts(registered).digest} |",
        "| validation_accuracy | 0.8765 |",
        "| train_examples | 4,312 |",
        "| label | precision | recall | F1 | validation examples |",
        "| a\\|b | 50.0% | 25.0% | 33.3% | 12 |",
    ):
        assert line in lines
    assert "ann" not in card
    assert str(tmp_path) not in card


def test_an_empty_directory_will_do_and_json_tells_what_is_in_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = json.loads(run("models", "export", "taste", "empty", "--json").stdout)
    assert told == {"model": "taste@1", "directory": str(tmp_path / "empty"), "files": ["README.md", *FILES]}


@pytest.mark.parametrize("there", ["directory", "file"])
def test_what_is_there_is_left_as_it_is(run: Run, tmp_path: Path, there: str) -> None:
    target = tmp_path / "target"
    kept = target if there == "file" else target / "kept.txt"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine")
    assert "name a new or an empty one" in refused(run("models", "export", "taste", target))
    assert kept.read_text() == "mine"
    assert list(tmp_path.glob("**/config.json")) == [tmp_path / "registered" / "config.json"]


def test_models_that_are_not_there_and_files_that_are_others(run: Run, tmp_path: Path, registered: Path) -> None:
    assert "the registry has: taste" in refused(run("models", "export", "nobody", "out"))
    (registered / "config.json").write_text((registered / "config.json").read_text() + " ")
    assert "no longer those that were registered" in refused(run("models", "export", "taste", "out"))
    shutil.rmtree(registered)
    assert "the files of taste@1 are gone" in refused(run("models", "export", "taste", "out"))
    assert "Missing argument 'DIRECTORY'" in refused(run("models", "export", "taste"))
    assert not (tmp_path / "out").exists()


def test_a_disk_that_refuses_leaves_nothing(run: Run, tmp_path: Path, registered: Path) -> None:
    (tmp_path / "file").touch()
    assert "file/out cannot be written" in refused(run("models", "export", "taste", "file/out"))
    before = sorted(tmp_path.iterdir())
    with files_of_at_most((registered / "model.safetensors").stat().st_size - 1):
        assert "out cannot be written: File too large" in refused(run("models", "export", "taste", "out"))
    assert sorted(tmp_path.iterdir()) == before


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the operating system refuse longer files to the commands that are run."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
