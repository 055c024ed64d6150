"""`reviewmill labels`, and results as Label Studio takes them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from xml.etree import ElementTree

import pytest
from sqlalchemy import text

from db.checkpoint import CheckpointFacts
from db.registry import register_model
from db.schema import open_database
from tests.corrected import ANSWERS, add_model, score

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _scored() -> None:
    with open_database().write() as connection:
        for name in ANSWERS:
            score(connection, add_model(connection, name), f"{name}.csv", pair="second" if name == "topics" else None)


def printed(result: CompletedProcess[str]) -> str:
    assert result.returncode == 0, result
    return result.stdout


def document(result: CompletedProcess[str]) -> Any:
    return json.loads(printed(result))


def refused(result: CompletedProcess[str], *said: str) -> None:
    assert (result.returncode, result.stdout) == (2, ""), result
    assert "Traceback" not in result.stderr
    for words in said:
        assert words in result.stderr


def test_uncertain_results_are_tasks_with_predictions(run: Run) -> None:
    arguments = ("results", "--uncertain", 2, "--format", "label-studio", "--model")
    tasks = document(run(*arguments, "sentiment"))
    assert [task["data"]["external_id"] for task in tasks] == ["r2", "r3"]
    named = {"review_id": 3, "source": "sentiment.csv", "external_id": "r2", "model": "sentiment@1"}
    assert tasks[0]["data"] == {"text": "text 2", "text_pair": "", **named}
    region = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["positive"]}}
    assert tasks[0]["predictions"] == [{"model_version": "sentiment@1", "score": 0.55, "result": [region]}]


def test_several_labels_pairs_and_numbers_are_tasks_too(run: Run) -> None:
    tasks = document(run("results", "--format", "label-studio", "--job", 2))
    assert {task["data"]["text_pair"] for task in tasks} == {"second"}
    (first, second, third, fourth) = [task["predictions"][0] for task in tasks]
    assert first["result"][0]["value"] == {"choices": ["price"]}
    assert second["result"][0]["value"] == {"choices": ["price", "service"]}
    assert third["result"] == []
    # How sure it is of the label that it is least sure of.
    assert [first["score"], fourth["score"]] == pytest.approx([0.8, 0.55])
    (number, *_) = document(run("results", "--format", "label-studio", "--model", "mark", "--limit", 1))
    region = {"from_name": "label", "to_name": "text", "type": "number", "value": {"number": 4.5}}
    assert number["predictions"] == [{"model_version": "mark@1", "result": [region]}]


@pytest.mark.parametrize("name", ANSWERS)
def test_the_configuration_fits_the_tasks(run: Run, name: str) -> None:
    view = ElementTree.fromstring(printed(run("labels", "config", "--model", name)))
    texts = {one.get("name"): one.get("value") for one in view.iter("Text")}
    tasks = document(run("results", "--format", "label-studio", "--model", name))
    for task in tasks:
        assert {value.removeprefix("$") for value in texts.values() if value} <= task["data"].keys()
        for region in task["predictions"][0]["result"]:
            (control,) = [one for one in view if one.get("name") == region["from_name"]]
            assert control.tag.lower() == region["type"]
            assert control.get("toName") == region["to_name"]
            assert region["to_name"] in texts
            possible = {one.get("value") for one in control}
            assert set(region["value"].get("choices", ())) <= possible
    assert ("text_pair" in texts) == (name == "topics")
    how = [one.get("choice") for one in view.iter("Choices")]
    assert how == {"sentiment": ["single"], "topics": ["multiple"], "mark": []}[name]


def test_labels_are_escaped_in_the_configuration(run: Run) -> None:
    labels = ('"<good> & cheap"', "it's\nfine")
    with open_database().write() as connection:
        facts = CheckpointFacts("bert", labels, "single_label_classification", 512, "e" * 64)
        register_model(connection, "odd", Path("/models/odd"), facts, kind="directory")
    view = ElementTree.fromstring(printed(run("labels", "config", "--model", "odd")))
    assert tuple(one.get("value") for one in view.iter("Choice")) == labels


def test_what_tasks_are_not_made_of_is_refused(run: Run) -> None:
    for arguments in (("--failures",), ("--group-by", "label"), ("--count",), ("--disagree", "mark", "topics")):
        refused(run("results", "--format", "label-studio", *arguments), f"{arguments[0]} does not go with --format")


def test_tasks_of_a_job_are_of_the_model_that_is_named(run: Run) -> None:
    # Job 2 is of topics; nothing of sentiment's is among its reviews.
    assert document(run("results", "--format", "label-studio", "--job", 2, "--model", "sentiment")) == []
    assert document(run("results", "--format", "label-studio", "--job", 2, "--model", "topics"))


def test_tasks_are_of_one_version(run: Run) -> None:
    result = run("results", "--uncertain", 2, "--format", "label-studio")
    refused(result, "give --model; those that scored: mark@1, sentiment@1, topics@1")


def test_corrections_are_imported_listed_and_counted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = ["r0,positive,2026-11-16", "r1,positive,2026-11-17", "r2,positive,2026-11-24", "r9,meh,", "r3,,"]
    path.write_text("\n".join(["external_id,label,corrected_at", *rows]) + "\n")
    arguments = ("labels", "import", "c.csv", "--model", "sentiment", "--source", "sentiment.csv", "--annotator", "ada")
    result = run(*arguments)
    assert printed(result) == "5 rows read: 3 new, 1 without a label, 1 refused.\n"
    assert "  line 5, review r9: sentiment@1 does not give the label 'meh'" in result.stderr
    again = document(run(*arguments, "--json"))
    assert again["stored"] == {"new": 0, "changed": 0, "unchanged": 3, "outdated": 0}
    assert [(one["row"], one["external_id"]) for one in again["refused"]] == [(5, "r9")]
    listed = printed(run("labels", "list"))
    assert [line.split()[:3] for line in listed.splitlines()[1:]] == [
        ["r2", "positive", "positive"],
        ["r1", "negative", "positive"],
        ["r0", "positive", "positive"],
    ]
    (latest,) = document(run("labels", "list", "--json", "--limit", 1))
    assert (latest["external_id"], latest["annotator"], latest["model"]) == ("r2", "ada", "sentiment@1")
    assert document(run("labels", "list", "--json", "--model", "topics")) == []
    shown = printed(run("labels", "accuracy", "--by", "week", "--model", "sentiment"))
    assert [line.split() for line in shown.splitlines()] == [
        ["model", "week", "reviews", "right", "accuracy"],
        ["sentiment@1", "2026-11-16", "2", "1", "50.0%"],
        ["sentiment@1", "2026-11-23", "1", "1", "100.0%"],
    ]
    (whole,) = document(run("labels", "accuracy", "--json"))
    assert (whole["week"], whole["reviews"], whole["accuracy"]) == (None, 3, pytest.approx(2 / 3))


def test_what_is_listed_can_be_imported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(
        "id,label,model,source\nr0,price|service,topics@1,topics.csv\nr1,price,topics,topics.csv\n"
    )
    printed(run("labels", "import", "c.csv"))
    (tmp_path / "listed.json").write_text(printed(run("labels", "list", "--json")))
    assert document(run("labels", "import", "listed.json", "--json"))["stored"]["unchanged"] == 2


def test_results_that_were_corrected_in_a_spreadsheet_come_back(run: Run, tmp_path: Path) -> None:
    """`results --format csv`, with some of the labels put right in place."""
    lines = printed(run("results", "--format", "csv", "--model", "sentiment")).replace(",negative,", ",positive,")
    (tmp_path / "corrected.csv").write_text(lines)
    assert document(run("labels", "import", "corrected.csv", "--json"))["stored"]["new"] == 4
    (whole,) = document(run("labels", "accuracy", "--json"))
    assert (whole["model"], whole["reviews"], whole["right"]) == ("sentiment@1", 4, 2)


def test_a_file_of_which_nothing_can_be_stored_was_the_wrong_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id,label\nr8,positive\nr9,positive\n")
    result = run("labels", "import", "c.csv", "--model", "sentiment", "--source", "sentiment.csv")
    assert result.returncode == 2
    assert result.stdout == "2 rows read: 2 refused.\n"
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("labels", "config", "--model", "mood"), "no model is named 'mood'"),
        (("labels", "import", "nowhere.json", "--model", "sentiment"), "can not be read: No such file"),
        (("labels", "import", "nowhere.csv", "--model", "sentiment"), "no such file"),
        (("labels", "accuracy", "--model", "sentiment@7"), "no version or alias '7'"),
        (("labels", "accuracy", "--by", "day"), "'week'"),
        (("labels", "list", "--since", "monday"), "monday"),
        (("finetune", "labels:", "--name", "m", "--base", "x"), "there are no corrections yet"),
        (("results", "--format", "label-studio", "--job", "99"), "there is no job 99"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    refused(run(*arguments), said)


def test_nothing_yet_is_said(run: Run) -> None:
    for command in ("list", "accuracy"):
        result = run("labels", command)
        assert printed(result) == ""
        assert "No corrections match" in result.stderr
        assert document(run("labels", command, "--json")) == []


def test_the_query_of_the_page_tells_the_same(run: Run, tmp_path: Path) -> None:
    rows = ["r0,positive,2026-11-17T12:00Z", "r1,positive,2026-11-18T12:00Z", "r2,positive,2026-11-24T12:00Z"]
    (tmp_path / "c.csv").write_text("\n".join(["id,label,corrected_at", *rows]) + "\n")
    printed(run("labels", "import", "c.csv", "--model", "sentiment", "--source", "sentiment.csv"))
    page = (Path(__file__).parents[2] / "docs" / "feedback.md").read_text()
    (query,) = re.findall(r"(?m)^    (SELECT .+\n    FROM .+)$", page)
    with open_database().read() as connection:
        assert [tuple(row) for row in connection.execute(text(query))] == [("2026-46", 2, 0.5), ("2026-47", 1, 1.0)]
