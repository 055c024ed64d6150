"""A teacher and its student through the real stack: labels made the one, unlabelled reviews the other."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
QUICK = ("--epochs", 6, "--batch-size", 8, "--learning-rate", 0.005, "--dropout", 0)


def document(result: CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def rows(numbers: range) -> list[tuple[str, str]]:
    return [(f"{('terrible', 'wonderful')[number % 2]} {number}", ("bad", "good")[number % 2]) for number in numbers]


def test_a_student_of_half_the_layers_says_what_its_teacher_says(run: Run, tmp_path: Path) -> None:
    labelled, unlabelled = rows(range(64)), rows(range(64, 144))
    (tmp_path / "labelled.csv").write_text("body,label\n" + "".join(f"{text},{label}\n" for text, label in labelled))
    (tmp_path / "unlabelled.csv").write_text("body\n" + "".join(f"{text}\n" for text, _ in unlabelled))
    named = ("--text", "body", *QUICK)
    made = run(
        "finetune", "labelled.csv", *named, "--label", "label", "--name", "large", "--base", CHECKPOINTS / "bert"
    )
    assert made.returncode == 0, made
    student = run("finetune", "unlabelled.csv", *named, "--teacher", "large", "--layers", 1, "--name", "small")
    assert student.returncode == 0, student
    assert "without a label" in student.stderr
    assert "% as its teacher says on test reviews" in student.stdout
    model = document(run("models", "show", "small", "--json"))
    assert (model["labels"], model["base"]) == (["bad", "good"], "large@1")
    assert model["metrics"]["test_agreement"] >= 0.8
    assert model["provenance"]["teacher"]["model"] == "large@1"
    assert json.loads((Path(model["path"]) / "config.json").read_text())["num_hidden_layers"] == 1
    assert "  teacher             large@1 (digest " in run("models", "show", "small").stdout
    # Half the layers, and a version like any other.
    assert run("score", "labelled.csv", "--text", "body", "--model", "small").returncode == 0
    told = {one["text"]: one["label"] for one in json.loads(run("results", "--model", "small", "--json").stdout)}
    assert sum(told[text] == label for text, label in labelled) >= 0.8 * len(labelled)
