"""In which precision a model serves, and why, stands in `models show` and `jobs show`."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from db.budgets import remember_budget
from db.jobs import NewJob, create_job
from db.precisions import remember_precision
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from tests.samples import CHECKPOINTS, SomeReview, facts

Run = Callable[..., CompletedProcess[str]]
FIGURES = {
    "texts": 500,
    "sure": 480,
    "sure_flips": 3,
    "flips": 9,
    "mean_drift": 0.0101,
    "p99_drift": 0.0541,
    "accuracy_drop": 0.002,
}
RUNGS = [
    {
        "precision": "int8",
        "refused": "3 of 480 sure labels change",
        "reviews_per_second": 1475.0,
        "speedup": 2.66,
        "figures": FIGURES,
    },
    {
        "precision": "int8-but-down-projections",
        "refused": "not tried: 8-bit products are no faster on this CPU",
        "reviews_per_second": None,
        "speedup": 0.9,
        "figures": {},
    },
    {"precision": "float32", "refused": None, "reviews_per_second": 555.0, "speedup": 1.0, "figures": {}},
]


@pytest.fixture
def decided() -> None:
    """Job 1 scores f.csv with a model that serves it in float32; it serves g.csv in int8, as ordered."""
    with open_database().write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview("r1", "text 1")])
        create_job(connection, NewJob("score", {"source": "f.csv"}, [ids], model_id=model.id))
        for source, asked, chosen in (("f.csv", "auto", "float32"), ("g.csv", "int8", "int8")):
            remember_precision(
                connection, model.id, "cpu@box", source, asked=asked, build="b", chosen=chosen, rungs=RUNGS
            )


def test_a_model_tells_its_token_budgets(run: Run, decided: None) -> None:
    with open_database().write() as connection:
        remember_budget(connection, 1, "cpu@box", 0, 2048)
        remember_budget(connection, 1, "gpu0@box", 4096, 1024)
    lines = [line.strip() for line in run("models", "show", "sentiment").stdout.splitlines()]
    heading = lines.index("Tokens of one batch")
    assert lines[heading + 1 :] == ["2,048 on cpu@box", "1,024 on gpu0@box"]
    shown = json.loads(run("models", "show", "sentiment", "--json").stdout)
    assert shown["token_budgets"] == {"cpu@box": 2048, "gpu0@box": 1024}


def test_a_model_tells_every_decision_with_its_figures(run: Run, decided: None) -> None:
    lines = [line.strip() for line in run("models", "show", "sentiment").stdout.splitlines()]
    assert "float32 on cpu@box for f.csv" in lines
    assert "int8 on cpu@box for g.csv, as ordered" in lines
    assert (
        "int8: 1,475.0 reviews/s, 2.66 times float32; on 500 texts 3 of 480 sure labels change, drift 0.0101 mean, "
        "0.0541 99th percentile, accuracy -0.20%; refused: 3 of 480 sure labels change"
    ) in lines
    assert "int8-but-down-projections: not tried: 8-bit products are no faster on this CPU" in lines
    assert "float32: 555.0 reviews/s" in lines


def test_a_job_tells_those_of_its_source(run: Run, decided: None) -> None:
    shown = run("jobs", "show", 1).stdout
    assert "float32 on cpu@box for f.csv" in shown
    assert "g.csv" not in shown
    (decision,) = json.loads(run("jobs", "show", 1, "--json").stdout)["precisions"]
    assert (decision["chosen"], decision["rungs"]) == ("float32", RUNGS)
    assert len(json.loads(run("models", "show", "sentiment", "--json").stdout)["precisions"]) == 2


def test_an_order_travels_with_the_job_and_a_wrong_one_is_refused(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "reviews.csv"
    source.write_text("body\na film\n")
    command = ("score", source, "--text", "body", "--model", CHECKPOINTS / "bert", "--no-wait", "--precision")
    refused = run(*command, "int4")
    assert refused.returncode == 2
    assert "auto" in refused.stderr
    assert run(*command, "int8", "--json").returncode == 0
    assert json.loads(run("jobs", "show", 1, "--json").stdout)["params"]["precision"] == "int8"
