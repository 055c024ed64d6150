"""Commands refuse models that are not on the operator's list, in one line that says what is, before they are read."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"


@pytest.fixture(autouse=True)
def reviews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("body,stars\n" + "".join(f"text {n},{1 + n % 2}\n" for n in range(12)))
    (tmp_path / "models").symlink_to(CHECKPOINTS)
    return path


def refused(result: CompletedProcess[str], what: object, allowed: object) -> None:
    assert (result.returncode, result.stdout) == (2, ""), result
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert error == f"Error: the model {what} is not allowed here; REVIEWMILL_ALLOWED_MODELS allows {allowed}"
    assert "Traceback" not in result.stderr


def test_what_is_not_listed_is_refused_wherever_it_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("models", "add", BERT, "--name", "distilbert/mine").returncode == 0
    allowed = f"distilbert/*, {CHECKPOINTS / 'albert'}"
    monkeypatch.setenv("REVIEWMILL_ALLOWED_MODELS", allowed)
    score, tune = ("score", "reviews.csv", "--text", "body", "--no-wait"), ("finetune", "reviews.csv", "--no-wait")
    tune = (*tune, "--text", "body", "--label", "stars", "--name", "m")
    # A name that is not listed is not looked for on the hub; one in the registry is judged by its folder.
    for model, said in ((BERT, BERT), ("evil/model", "evil/model"), ("distilbert/mine", BERT), ("models/bert", BERT)):
        refused(run(*score, "--model", model), said, allowed)
        refused(run(*tune, "--base", model), said, allowed)
        refused(run(*tune, "--base", CHECKPOINTS / "albert", "--teacher", model), said, allowed)
        refused(run("estimate", "reviews.csv", "--text", "body", "--model", model), said, allowed)
        refused(run("models", "diff", model, model, "--source", "reviews.csv", "--text", "body"), said, allowed)
    refused(run(*tune), "minilm", allowed)
    for source in (BERT, "evil/model"):
        refused(run("models", "add", source, "--name", "distilbert/other"), source, allowed)
    refused(run("schedule", "add", "n", "--cron", "0 2 * * *", "--", *score[:-1], "--model", BERT), BERT, allowed)
    assert json.loads(run("jobs", "list", "--json").stdout) == []
    assert len(json.loads(run("models", "list", "--json").stdout)) == 1


def test_what_is_listed_is_taken(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_ALLOWED_MODELS", f"{CHECKPOINTS}, minilm")
    for command in (
        ("models", "add", BERT, "--name", "mine"),
        ("score", "reviews.csv", "--text", "body", "--model", "models/bert", "--no-wait"),
        ("finetune", "reviews.csv", "--text", "body", "--label", "stars", "--name", "m", "--no-wait"),
    ):
        result = run(*command)
        assert result.returncode == 0, result


def test_a_list_that_cannot_be_read_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_ALLOWED_MODELS", "./models")
    result = run("score", "reviews.csv", "--text", "body", "--model", BERT, "--no-wait")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("Error: the setting REVIEWMILL_ALLOWED_MODELS is './models': val")
