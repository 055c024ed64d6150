"""The round of docs/feedback.md: scored, taken to Label Studio, put right, brought back and learned from."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from xml.etree import ElementTree

from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
PAGE = (Path(__file__).parents[2] / "docs" / "feedback.md").read_text()
#: What a checkpoint of 32 dimensions needs to learn anything from a few reviews.
QUICK = ("--epochs", "6", "--batch-size", "8", "--learning-rate", "0.005", "--dropout", "0")
RIGHT = {"terrible": "negative", "wonderful": "positive"}


def commands() -> Iterator[list[str]]:
    """The commands of the round, in order, as they stand on the page."""
    section = PAGE.partition("## A round")[2].partition("\n## ")[0]
    for line in re.findall(r"^    reviewmill (.+)$", section, re.MULTILINE):
        yield line.split()


def done(result: CompletedProcess[str]) -> str:
    assert result.returncode == 0, result
    return result.stdout


def labelled(tasks: list[dict[str, Any]], config: str) -> list[dict[str, Any]]:
    """What Label Studio exports once somebody has labelled all tasks by what is right."""
    (control,) = ElementTree.fromstring(config).iter("Choices")
    possible = {one.get("value") for one in control}
    exported = []
    for number, task in enumerate(tasks, start=1):
        right = RIGHT[task["data"]["text"].split()[0]]
        assert right in possible
        region = {"from_name": control.get("name"), "to_name": control.get("toName"), "type": "choices"}
        result = [{"id": "x", "origin": "manual", **region, "value": {"choices": [right]}}]
        who = {"completed_by": 1, "was_cancelled": False, "updated_at": "2026-11-24T10:00:00.500000Z"}
        exported.append({"id": number, "data": task["data"], "annotations": [{"id": number, "result": result, **who}]})
    return exported


def test_the_round_of_the_page(run: Run, tmp_path: Path) -> None:
    done(run("models", "add", CHECKPOINTS / "bert", "--name", "sentiment"))
    rows = [f"{number},{list(RIGHT)[number % 2]} {number}" for number in range(96)]
    (tmp_path / "reviews.csv").write_text("\n".join(["id,body", *rows]) + "\n")
    said: dict[str, str] = {}
    for words in commands():
        if words[:2] == ["labels", "import"]:
            tasks = json.loads((tmp_path / "tasks.json").read_text())
            exported = labelled(tasks, said["labels config"])
            (tmp_path / "export.json").write_text(json.dumps(exported))
        elif words[0] == "finetune":
            words = [*words, *QUICK]
        said[" ".join(words[:2])] = done(run(*words))
    assert len(tasks) == 96
    assert said["labels import"] == "96 rows read: 96 new.\n"
    assert len(said["labels list"].splitlines()) == 6
    assert re.search(r"sentiment@1 +2026-11-23 +96 ", said["labels accuracy"])
    assert "made sentiment@2" in said["finetune labels:sentiment"]
    metrics = json.loads(done(run("models", "show", "sentiment@2", "--json")))["metrics"]
    assert metrics["train_examples"] + metrics["validation_examples"] + metrics["test_examples"] == 96
    assert metrics["test_accuracy"] >= 0.8
    (before,) = json.loads(done(run("labels", "accuracy", "--json")))
    assert (before["model"], before["reviews"]) == ("sentiment@1", 96)
    assert before["accuracy"] < metrics["test_accuracy"]
    assert "sentiment@2" in said["models diff"]
