"""`reviewmill results` in every format, and what `jobs` and `models` print."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from db.jobs import NewJob, create_job
from db.predictions import Scored, store_predictions
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from tests.samples import SomeReview, facts, verdict

Run = Callable[..., CompletedProcess[str]]
TEXTS = (
    "plain but far too long for one line of a terminal " * 3,
    'with "quotes", commas\nand a line break',
    "[bold]markup[/bold] <b>",
    "עברית 👍🏽",
)


@pytest.fixture(autouse=True)
def _predictions() -> None:
    with open_database().write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview(f"r{n}", text) for n, text in enumerate(TEXTS)])
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        scored = [
            Scored(id_, job_id, verdict(positive)) for id_, positive in zip(ids, (0.9, 0.2, 0.6, 0.45), strict=True)
        ]
        store_predictions(connection, model.id, scored)


def printed(result: CompletedProcess[str]) -> str:
    assert result.returncode == 0, result
    return result.stdout


def test_json_formats_hold_everything(run: Run) -> None:
    whole = json.loads(printed(run("results", "--json")))
    assert [one["text"] for one in whole] == list(TEXTS)
    assert whole[0]["probabilities"] == {"negative": pytest.approx(0.1), "positive": 0.9}
    lines = printed(run("results", "--format", "jsonl")).splitlines()
    assert [json.loads(line) for line in lines] == whole
    assert json.loads(printed(run("results", "--since", "2999-01-01", "--json"))) == []


def test_csv_reads_back(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(run("results", "--format", "csv")))))
    assert [row["text"] for row in rows] == list(TEXTS)
    assert json.loads(rows[1]["probabilities"])["positive"] == 0.2
    assert {(row["reading"], row["windows"]) for row in rows} == {("whole", "1")}


def test_a_table_shows_reviews_as_they_are(run: Run) -> None:
    table = printed(run("results", "--label", "positive", "--model", "sentiment@1"))
    assert "[bold]markup" in table
    assert "r0" in table
    assert "r1" not in table
    assert max(len(line) for line in table.splitlines()) <= 80
    assert table.split()[:5] == ["id", "label", "score", "model", "text"]
    assert table.splitlines()[1].split()[:4] == ["r0", "positive", "0.9000", "sentiment@1"]


def test_a_file_is_written_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert printed(run("results", "--format", "csv", "-o", out)) == ""
    assert out.read_text().startswith("review_id,source,external_id,")
    failed = run("results", "--format", "csv", "-o", tmp_path / "nowhere" / "out.csv")
    assert failed.returncode == 2
    assert "cannot be written" in failed.stderr
    assert [path.name for path in tmp_path.glob("*.csv*")] == ["out.csv"]


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{sys.executable} -m cli.main results --format jsonl | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_jobs_and_models_are_listed(run: Run) -> None:
    assert "sentiment@1" in printed(run("jobs", "list"))
    assert "negative, positive" in printed(run("models", "list"))
    assert json.loads(printed(run("models", "show", "sentiment", "--json")))["version"] == 1
    shown = printed(run("jobs", "show", 1))
    assert "pending" in shown
    assert json.loads(printed(run("jobs", "show", 1, "--json")))["total"] == len(TEXTS)
