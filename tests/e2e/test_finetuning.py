"""Fine-tuning through the real stack, for each kind of label: sources in, a version that scores out."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
QUICK = ("--epochs", 6, "--batch-size", 8, "--learning-rate", 0.005, "--dropout", 0, "--name", "mine")


def document(result: CompletedProcess[str]) -> Any:
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def scored(run: Run, source: Path, *columns: str) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Score the first rows with the version that was made: the version, and what it says of each text."""
    assert run("score", source, "--text", "body", *columns, "--model", "mine", "--limit", 8).returncode == 0
    results = json.loads(run("results", "--model", "mine", "--json").stdout)
    model = document(run("models", "show", "mine", "--json"))
    return model, {one["text"]: one["probabilities"] for one in results}


def test_pairs_with_several_labels_are_learned_from_a_multi_label_base(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "labelled.csv"
    rows = [(number, number // 2 % 2, number % 2) for number in range(96)]
    words = {(price, service): "price " * price + "service " * service for price in (0, 1) for service in (0, 1)}
    lines = [f"{words[price, service]}{number},{number},{price},{service}" for number, price, service in rows]
    path.write_text("\n".join(["body,other,price,service", *lines]) + "\n")
    columns = ("--text", "body", "--pair", "other", "--multi-label", "--label", "service", "--label", "price")
    base = CHECKPOINTS / "roberta-multi-label"
    done = document(run("finetune", path, *columns, "--base", base, "--keep-head", *QUICK, "--json"))
    metrics = done["metrics"]
    assert (metrics["train_examples"], metrics["validation_examples"], metrics["test_examples"]) == (78, 9, 9)
    assert metrics["test_accuracy"] >= 0.8
    model, said = scored(run, path, "--pair", "other")
    assert model["problem_type"] == "multi_label_classification"
    assert model["labels"] == ["price", "quality", "service", "delivery"]
    for text, probabilities in said.items():
        assert {label for label, chance in probabilities.items() if chance >= 0.5} == set(text.split()[:-1]), text


def test_a_number_is_learned_and_measured_on_sources_of_their_own(run: Run, tmp_path: Path) -> None:
    for name, numbers in (("train", range(80)), ("validation", range(70, 90)), ("test", range(85, 100))):
        lines = [f"{('terrible', 'wonderful')[number % 2]} {number},{number % 2 * 2 - 0.5}" for number in numbers]
        (tmp_path / f"{name}.csv").write_text("\n".join(["body,mark", *lines]) + "\n")
    sources = ("train.csv", "--validation", "validation.csv", "--test", "test.csv")
    columns = ("--text", "body", "--label", "mark", "--regression", "--base", CHECKPOINTS / "bert")
    result = run("finetune", *sources, *columns, *QUICK)
    assert result.returncode == 0, result
    assert "Data: 115 rows, 100 examples: 70 train, 15 validation, 15 test" in result.stderr
    assert "left out: 10 rows of training whose text is in validation too" in result.stderr
    assert "left out: 5 rows of validation whose text is in test too" in result.stderr
    model, said = scored(run, tmp_path / "train.csv")
    assert f"off by {model['metrics']['test_mae']:.3g} on average on test reviews" in result.stdout
    assert (model["labels"], model["problem_type"]) == (["mark"], "regression")
    assert model["metrics"]["test_mae"] < 0.7
    for text, values in said.items():
        assert values["mark"] == pytest.approx(1.5 if "wonderful" in text else -0.5, abs=0.8), text
