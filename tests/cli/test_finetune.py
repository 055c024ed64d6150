"""What `finetune` tells of the data before it trains, and where it is kept."""

import json
import os
import sqlite3
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from cli.training_check import show_training_check
from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"


@pytest.fixture
def finetune(run: Run, tmp_path: Path) -> Callable[..., CompletedProcess[str]]:
    """Enqueue the fine-tuning of a csv, and wait for nothing."""

    def enqueue(content: str, *options: object) -> CompletedProcess[str]:
        (tmp_path / "data.csv").write_text(content)
        named = ("--text", "body", "--name", "m", "--base", BERT, "--no-wait")
        result = run("finetune", "data.csv", *named, *options)
        assert result.returncode == 0, result
        return result

    return enqueue


def shown(result: CompletedProcess[str]) -> list[list[str]]:
    """The words of each line of the check, from its first line on."""
    lines = result.stderr.splitlines()
    return [line.split() for line in lines[next(at for at, line in enumerate(lines) if line.startswith("Data:")) :]]


def test_the_check_counts_labels_by_split_and_tells_what_was_left_out(
    finetune: Callable[..., CompletedProcess[str]], run: Run
) -> None:
    rows = [f"text {number},{'xy'[number % 2]}" for number in range(40)]
    odd = ["text 0,x", " ,x", "no label,", "text 1,x", "text 1,y", "tie,x", "tie,y"]
    result = finetune("\n".join(["body,label", *rows, *odd]) + "\n", "--label", "label", "--json")
    assert json.loads(result.stdout)["state"] == "pending"
    lines = result.stderr.splitlines()
    assert lines[:6] == [
        "Data: 47 rows, 40 examples: 32 train, 4 validation, 4 test",
        "  left out: 1 row without a text",
        "  left out: 1 row without a label",
        "  left out: 4 rows with the text of another row",
        "  left out: 1 row of a text that has as many rows with another label",
        "  settled: 1 text with different labels; most rows, or the mean, decide",
    ]
    table = [["train", "validation", "test"], ["x", "16", "2", "2"], ["y", "16", "2", "2"]]
    assert shown(result)[6:9] == table
    of_job = run("jobs", "show", 1).stdout
    assert "\n".join(lines[:6]) in of_job
    data = json.loads(run("jobs", "show", 1, "--json").stdout)["params"]["data"]
    assert data["labels"] == {label: {"train": 16, "validation": 2, "test": 2} for label in "xy"}


def test_a_kept_head_s_labels_and_texts_with_none_are_counted(
    finetune: Callable[..., CompletedProcess[str]],
) -> None:
    options = ("--label", "label", "--validation-split", "0", "--test-split", "0")
    kept = finetune("body,label\na,negative\nb,negative\nc,positive\nd,positive\n", *options, "--keep-head")
    assert shown(kept)[1:5] == [["train"], ["negative", "2"], ["neutral", "0"], ["positive", "2"]]
    several = finetune("body,label\na,x|y\nb,y|x\nc,\n", *options, "--multi-label")
    assert shown(several)[1:5] == [["train"], ["x", "2"], ["y", "2"], ["none", "of", "them", "1"]]
    number = finetune("body,label\na,1\nb,2.5\n", *options, "--regression")
    assert shown(number)[1:5] == [["train"], ["lowest", "1"], ["mean", "1.75"], ["highest", "2.5"]]
    with sqlite3.connect(Path(os.environ["REVIEWMILL_HOME"]) / "reviewmill.db") as database:
        stored = database.execute("SELECT job_id, label FROM examples ORDER BY job_id, review_id").fetchall()
    assert stored[4:] == [(2, "x|y"), (2, "x|y"), (2, ""), (3, "1.0"), (3, "2.5")]


def test_texts_that_only_a_teacher_tells_of_are_counted(finetune: Callable[..., CompletedProcess[str]]) -> None:
    options = ("--teacher", BERT, "--validation-split", "0", "--test-split", "0.25")
    content = "body,label\n" + "".join(f"text {number},{'positive' * (number < 4)}\n" for number in range(12))
    some = finetune(content, *options, "--label", "label")
    assert shown(some)[1:6] == [
        ["train", "test"],
        ["negative", "0", "0"],
        ["neutral", "0", "0"],
        ["positive", "3", "1"],
        ["without", "a", "label", "6", "2"],
    ]
    none = finetune(content, *options)
    assert shown(none)[5] == ["without", "a", "label", "9", "3"]
    number = finetune(content, "--teacher", CHECKPOINTS / "bert-regression", "--test-split", "0")
    assert shown(number)[1:4] == [["train", "validation"], ["stars", "0", "0"], ["without", "a", "label", "11", "1"]]


def test_the_check_has_one_order_whatever_the_database_s_and_stays_short() -> None:
    labels = [f"label {number}" for number in range(23)]
    counts = {label: {"test": 1, "train": 8, "validation": 0} for label in reversed(labels)}
    data = {"rows": 210, "settled": 0, "targets": {}, "no_label": {"test": 0, "train": 2, "validation": 1}}
    data |= {"left_out": {"ties": 1, "empty": 2}, "examples": {"test": 23, "train": 184, "validation": 0}}
    file = StringIO()
    show_training_check({"data": data | {"labels": counts}, "labels": labels}, file)
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert " ".join(lines[0]) == "Data: 210 rows, 207 examples: 184 train, 0 validation, 23 test"
    assert [" ".join(line[2:]) for line in lines[1:3]] == [
        "2 rows without a text",
        "1 row of a text that has as many rows with another label",
    ]
    assert lines[3] == ["train", "validation", "test"]
    assert lines[4:24] == [["label", str(number), "8", "0", "1"] for number in range(20)]
    assert [" ".join(line) for line in lines[24:]] == ["and 3 labels more", "none of them 2 1 0"]


def test_indicator_columns_are_told_by_their_names(finetune: Callable[..., CompletedProcess[str]]) -> None:
    content = "body,price,quality\na,1,0\nb,1,1\nc,0,1\n"
    result = finetune(content, "--multi-label", "--label", "quality", "--label", "price", "--test-split", "0")
    assert shown(result)[1:4] == [["train", "validation"], ["quality", "2", "0"], ["price", "2", "0"]]
