"""Two models on the same reviews, and aliases that move, over the real stack."""

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.stats import binomtest

from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"


@pytest.fixture
def models(tmp_path: Path, run: Run) -> None:
    """`m@1`, the small BERT, and `m@2`, the same with other weights in its head."""
    other = tmp_path / "other"
    other.mkdir()
    for path in BERT.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    tensors = load_file(other / "model.safetensors")
    drawn = np.random.default_rng(0).normal(0, 0.5, tensors["classifier.weight"].shape)
    tensors["classifier.weight"] = drawn.astype(tensors["classifier.weight"].dtype)
    save_file(tensors, other / "model.safetensors")
    for folder in (BERT, other):
        assert run("models", "add", folder, "--name", "m").returncode == 0


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Distinct texts; the last of four has no label, and the very last row no text."""
    labels = json.loads((BERT / "config.json").read_text())["id2label"]
    texts = {row["text"] for row in json.loads((BERT / "reference.json").read_text())["rows"] if row["text"].strip()}
    path = tmp_path / "reviews.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "body", "right"])
        for number, text in enumerate(sorted(texts)):
            label = "" if number % 4 == 3 else labels[str(number % 4 % len(labels))]
            writer.writerow([number, text, label])
        writer.writerow(["last", "  ", ""])
    return path


def document(result: CompletedProcess[str]) -> dict:
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def labels_of(home: Path, version: int) -> dict[str, str]:
    query = (
        "SELECT external_id, predictions.label FROM predictions JOIN reviews ON reviews.id = review_id "
        "JOIN models ON models.id = model_id WHERE version = ?"
    )
    with sqlite3.connect(home / "reviewmill.db") as database:
        return dict(database.execute(query, (version,)).fetchall())


@pytest.mark.usefixtures("models")
def test_two_models_are_compared_over_the_real_stack(run: Run, reviews: Path, home: Path) -> None:
    reading = ("--source", reviews, "--text", "body", "--id", "key", "--label", "right")
    told = document(run("models", "diff", "m@1", "m@2", *reading, "--json"))
    rows = [row for row in csv.DictReader(reviews.open(newline="")) if row["body"].strip()]
    first, second = labels_of(home, 1), labels_of(home, 2)
    assert told["reviews"] == len(first) == len(second) == len(rows)
    flips = Counter((first[key], second[key]) for key in first if first[key] != second[key])
    assert flips
    assert {(one["first"], one["second"]): one["reviews"] for one in told["flips"]} == flips
    assert told["agreement"] == pytest.approx(1 - flips.total() / len(rows))
    right = [(first[row["key"]] == row["right"], second[row["key"]] == row["right"]) for row in rows if row["right"]]
    accuracy = told["accuracy"]
    assert (accuracy["reviews"], told["trained_on"]) == (len(right), 0)
    assert accuracy["first"] == pytest.approx(sum(one for one, _ in right) / len(right))
    assert accuracy["second"] == pytest.approx(sum(other for _, other in right) / len(right))
    only_first, only_second = right.count((True, False)), right.count((False, True))
    assert only_first + only_second
    assert accuracy["mcnemar_p"] == pytest.approx(binomtest(only_first, only_first + only_second).pvalue)
    for side in (told["first"], told["second"]):
        assert (side["total"], side["scored"], side["reused"], side["failed"]) == (len(rows) + 1, len(rows), 0, 1)
        assert side["computing_reviews_per_second"] >= side["reviews_per_second"] > 0

    again = run("models", "diff", "m@2", "m@1", "--job", 1)
    assert again.returncode == 0, again
    assert f"m@2 and m@1 on {len(rows)} reviews that both have scored" in again.stdout
    speed = {line.split()[0]: line.split()[1:] for line in again.stdout.splitlines() if line.startswith("m@")}
    # The job whose reviews they are is the first one's own; the second one's answers were there.
    assert speed["m@1"][0] == "1"
    assert speed["m@1"][-3:] == ["0", "of", str(len(rows) + 1)]
    assert speed["m@2"][-3:] == [str(len(rows)), "of", str(len(rows))]
    assert "McNemar" not in again.stdout


@pytest.mark.usefixtures("models")
def test_a_job_is_done_by_the_version_that_the_alias_stood_on(run: Run, reviews: Path, home: Path) -> None:
    assert run("models", "promote", "m@1", "production").returncode == 0
    scoring = ("score", reviews, "--text", "body", "--id", "key", "--model", "m@production")
    assert document(run(*scoring, "--no-wait", "--json"))["state"] == "pending"
    assert run("models", "promote", "m@2", "production").returncode == 0
    assert document(run("jobs", "watch", 1, "--json"))["state"] == "done"
    params = document(run("jobs", "show", 1, "--json"))["params"]
    assert (params["model"], params["model_as_asked"]) == ("m@1", "m@production")
    assert labels_of(home, 1)
    assert not labels_of(home, 2)
    assert document(run(*scoring, "--json"))["scored"] == len(labels_of(home, 1))
    assert labels_of(home, 2).keys() == labels_of(home, 1).keys()
