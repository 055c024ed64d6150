"""`reviewmill models`: where versions come from, and which one an alias stands on."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from db.registry import register_model
from db.schema import open_database
from tests.samples import CHECKPOINTS, PROVENANCE, facts

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _versions() -> None:
    """taste@1, @2 and @3, right on 80%, 70% and, of other examples, 60%."""
    others = json.loads(json.dumps(PROVENANCE).replace("v" * 64, "w" * 64))
    with open_database().write() as connection:
        for accuracy, provenance in ((0.8, PROVENANCE), (0.7, PROVENANCE), (0.6, others)):
            register_model(
                connection,
                "taste",
                Path("/models/taste"),
                facts(str(accuracy)),
                kind="finetuned",
                metrics={"validation_accuracy": accuracy},
                provenance=provenance,
            )


def printed(result: CompletedProcess[str]) -> str:
    assert result.returncode == 0, result
    return result.stdout


def aliases(run: Run) -> list[list[str]]:
    return [model["aliases"] for model in json.loads(printed(run("models", "list", "--json")))]


def test_a_version_tells_how_it_was_made(run: Run) -> None:
    lines = [line.split(maxsplit=1) for line in printed(run("models", "show", "taste@1")).splitlines() if line]
    for name, value in (
        ("Made", "by job 7"),
        ("base", f"minilm (digest {'b' * 64})"),
        ("data", f"digest {'d' * 64}"),
        ("train", f"4,312 examples, digest {'t' * 64}"),
        ("validation", f"1 example, digest {'v' * 64}"),
        ("seconds", "149.1"),
        ("device", "cpu@box"),
        ("libraries", "keras 3.15.1, tensorflow 2.21.0"),
        ("epochs", "2"),
        ("learning_rate", "5e-05"),
        ("labels", "1, 5"),
        ("validation_accuracy", "0.8"),
    ):
        assert [name, value] in lines
    assert json.loads(printed(run("models", "show", "taste@1", "--json")))["provenance"] == PROVENANCE


def test_a_version_tells_what_its_data_was_like(run: Run) -> None:
    counts = {"train": 8, "validation": 1}
    none = dict.fromkeys(counts, 0)
    check = {
        "rows": 10,
        "examples": counts,
        "left_out": {"repeats": 1},
        "settled": 0,
        "labels": {"1": {"train": 5, "validation": 0}, "5": {"train": 3, "validation": 1}},
        "no_label": none,
        "unlabelled": none,
        "targets": {},
    }
    parameters = {**PROVENANCE["parameters"], "data": check}
    with open_database().write() as connection:
        made = {"kind": "finetuned", "provenance": {**PROVENANCE, "parameters": parameters}}
        register_model(connection, "checked", Path("/models/checked"), facts("checked"), **made)
    said = printed(run("models", "show", "checked"))
    assert "Data: 10 rows, 9 examples: 8 train, 1 validation\n  left out: 1 row with the text of another row\n" in said
    assert ["5", "3", "1"] in [line.split() for line in said.splitlines()]
    assert "{" not in said


def test_an_alias_moves_and_a_worse_version_is_refused(run: Run) -> None:
    assert printed(run("models", "promote", "taste@1", "production")) == "taste@1 is production now.\n"
    assert printed(run("models", "promote", "taste@1", "production")) == "taste@1 is production already.\n"
    refused = run("models", "promote", "taste@2", "production")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "Error: taste@2 is worse than taste@1, which is production, on the same held-out examples: "
        "validation_accuracy 0.7000 after 0.8000; --force moves it all the same\n"
    )
    assert aliases(run) == [["production"], [], []]
    said = printed(run("models", "promote", "taste@2", "production", "--force"))
    assert said == "taste@2 is production now, in place of taste@1: validation_accuracy 0.7000 after 0.8000.\n"
    assert aliases(run) == [[], ["production"], []]
    assert "production" in printed(run("models", "list"))


def test_what_cannot_be_compared_is_said_and_moves(run: Run) -> None:
    printed(run("models", "promote", "taste@1", "production"))
    said = printed(run("models", "promote", "taste", "production"))
    assert "taste@3 is production now, in place of taste@1." in said
    assert "no figure on the same held-out examples" in said
    assert "reviewmill models diff taste@1 taste@3" in said
    assert aliases(run) == [[], [], ["production"]]


def test_a_promotion_as_json(run: Run) -> None:
    first = json.loads(printed(run("models", "promote", "taste@2", "production", "--json")))
    assert first == {"model": "taste@2", "alias": "production", "before": None, "metric": None}
    assert json.loads(printed(run("models", "promote", "taste@1", "production", "--json"))) == {
        "model": "taste@1",
        "alias": "production",
        "before": "taste@2",
        "metric": {"name": "validation_accuracy", "before": 0.7, "after": 0.8},
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody", "production"], "no model is named 'nobody'"),
        (["taste@9", "production"], "its versions are 1, 2, 3"),
        (["taste", "2"], "'2' cannot be an alias"),
        (["taste", "the best"], "letters, digits"),
        (["taste"], "Missing argument 'ALIAS'"),
    ],
)
def test_promotions_that_make_no_sense(run: Run, arguments: list[str], said: str) -> None:
    refused = run("models", "promote", *arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    (error,) = [line for line in refused.stderr.splitlines() if line.startswith("Error:")]
    assert said in error
    assert aliases(run) == [[], [], []]


def test_a_store_that_cannot_be_used_is_said_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("REVIEWMILL_MODEL_STORE", str(tmp_path / "file" / "store"))
    result = run("models", "add", CHECKPOINTS / "bert", "--name", "stars")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: the model store {tmp_path}/file/store cannot be used: ")
    assert "stars" not in [model["name"] for model in json.loads(printed(run("models", "list", "--json")))]
