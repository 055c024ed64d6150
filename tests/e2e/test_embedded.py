"""The embedded stack: a real Redis and a real worker, there when needed and gone afterwards."""

import csv
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.samples import CHECKPOINTS
from tests.system import Start, nothing_runs, processes_of, wait_until

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"


@pytest.fixture
def references(tmp_path: Path) -> tuple[Path, list[dict]]:
    """A csv of the reference texts of the small BERT, and what the pipeline says of them."""
    rows = json.loads((BERT / "reference.json").read_text())["rows"]
    rows = [row for row in rows if row["text"].strip() and row["pair"]]
    path = tmp_path / "references.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "body", "other"])
        writer.writerows((number, row["text"], row["pair"]) for number, row in enumerate(rows))
    return path, rows


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Enough reviews to be interrupted in."""
    path = tmp_path / "many.csv"
    words = "the screen is wonderful and the price terrible but it works " * 4
    path.write_text("body\n" + "".join(f"{number} {words}\n" for number in range(30_000)))
    return path


def document(result: CompletedProcess[str]) -> dict:
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def job(run: Run, job_id: int) -> dict:
    return document(run("jobs", "show", job_id, "--json"))


def test_reviews_go_in_and_the_pipelines_probabilities_come_out(
    run: Run, references: tuple[Path, list[dict]], home: Path
) -> None:
    path, rows = references
    command = ("score", path, "--text", "body", "--pair", "other", "--id", "key", "--model", BERT, "--json")
    done = document(run(*command))
    assert list(done) == ["job_id", "state", "total", "scored", "reused", "failed", "seconds", "reviews_per_second"]
    assert (done["state"], done["total"], done["scored"], done["failed"]) == ("done", len(rows), len(rows), 0)
    stored = {one["external_id"]: one for one in json.loads(run("results", "--job", 1, "--json").stdout)}
    for number, row in enumerate(rows):
        assert stored[str(number)]["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
    wait_until(lambda: nothing_runs(home), 30)
    again = document(run(*command))
    assert (again["scored"], again["reused"]) == (0, len(rows))


def test_long_reviews_are_read_as_is_asked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("body\nA wonderful film.\n" + "It broke after a week and nobody answers. " * 20 + "\n")
    command = ("score", path, "--text", "body", "--model", BERT, "--json")
    done = [document(run(*command, *more)) for more in ([], ["--long", "window"], ["--long", "window"])]
    assert [(one["scored"], one["reused"]) for one in done] == [(2, 0), (1, 1), (0, 2)]
    short, long = json.loads(run("results", "--json").stdout)
    assert (short["reading"], short["windows"], short["truncated"]) == ("whole", 1, False)
    assert (long["reading"], long["truncated"]) == ("window", False)
    # Each window of 64 tokens begins with half of the one before.
    assert long["windows"] > 5
    assert long["tokens"] > 60 * (long["windows"] - 1)
    assert job(run, 2)["readings"] == {"whole": 1, "window": 1}


def test_a_model_is_fine_tuned_and_used(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "labelled.csv"
    lines = [f"{word} {number},{label}" for number in range(40) for word, label in (("wonderful", 5), ("terrible", 1))]
    path.write_text("body,stars\n" + "\n".join(lines) + "\n")
    training = ("finetune", path, "--text", "body", "--label", "stars", "--base", BERT, "--name", "stars")
    done = document(run(*training, "--epochs", 4, "--batch-size", 8, "--learning-rate", 0.005, "--json"))
    assert (done["state"], done["model"]) == ("done", "stars@1")
    assert done["metrics"]["test_accuracy"] == 1.0
    scored = run("score", path, "--text", "body", "--model", "stars", "--limit", 10)
    assert scored.returncode == 0
    assert "10 rows read, 10 scored, 0 reused, 0 failed" in scored.stdout
    shown = document(run("models", "show", "stars", "--json"))
    assert (shown["labels"], shown["kind"]) == (["1", "5"], "finetuned")
    assert run("models", "show", "stars", "--report", tmp_path / "report.html").returncode == 0
    assert "<h1>stars@1</h1>" in (tmp_path / "report.html").read_text()


def test_every_row_is_accounted_for(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    texts = ["good", "", "   ", None, 7, "nul \0 byte", "x" * 1_000_000, "👍🏽😀", "הסרט היה נפלא مرحبا", "good", ["a"]]
    lines = [json.dumps({"key": f"k{number}", "body": text}) for number, text in enumerate(texts)]
    broken = [b"not json", b'{"key": "k", "body": "\xff\xfe"}', b'"a string"']
    path.write_bytes(b"\n".join([line.encode() for line in lines] + broken))
    done = document(run("score", path, "--text", "body", "--id", "key", "--model", BERT, "--json"))
    assert done["total"] == len(texts) + len(broken)
    assert (done["scored"], done["reused"], done["failed"]) == (3, 1, 10)
    shown = job(run, done["job_id"])
    assert len(shown["failures"]) == 10
    assert all(failure["reason"] and failure["row"] for failure in shown["failures"])


def test_a_source_of_bad_rows_only_is_a_job_that_is_done(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "blank.csv"
    path.write_text('key,body\n1,""\n2,"  "\n')
    done = document(run("score", path, "--text", "body", "--model", BERT, "--json"))
    assert (done["state"], done["total"], done["failed"]) == ("done", 2, 2)


def test_up_serves_other_commands_until_it_is_told_to_stop(
    run: Run, start: Start, references: tuple[Path, list[dict]], home: Path
) -> None:
    up = start("up")
    wait_until(lambda: any("worker.process" in line for line in processes_of(home).values()))
    before = set(processes_of(home))
    command = ("score", references[0], "--text", "body", "--model", BERT, "--json")
    assert document(run(*command))["state"] == "done"
    assert document(run(*command, "--no-wait"))["job_id"] == 2
    assert document(run("jobs", "watch", 2, "--json"))["state"] == "done"
    assert set(processes_of(home)) == before
    up.send_signal(signal.SIGINT)
    assert up.wait(30) == 0
    wait_until(lambda: nothing_runs(home), 30)


def test_ctrl_c_leaves_the_job_and_nothing_running(run: Run, start: Start, many: Path, home: Path) -> None:
    command = start("score", many, "--text", "body", "--model", BERT)
    wait_until(lambda: scores(home))
    command.send_signal(signal.SIGINT)
    assert command.wait(60) == 130
    assert "reviewmill jobs watch 1" in command.said()
    assert "Traceback" not in command.said()
    wait_until(lambda: nothing_runs(home), 30)
    left = job(run, 1)
    assert left["state"] == "running"
    finished = document(run("jobs", "watch", 1, "--json"))
    assert (finished["state"], finished["scored"], finished["failed"]) == ("done", 30_000, 0)


def test_a_killed_command_takes_its_stack_along(run: Run, start: Start, many: Path, home: Path) -> None:
    command = start("score", many, "--text", "body", "--model", BERT)
    wait_until(lambda: scores(home))
    command.kill()
    command.wait()
    wait_until(lambda: nothing_runs(home), 40)


def test_a_stack_whose_owner_was_killed_is_replaced(
    run: Run, start: Start, many: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_LEASE_S", "4")
    command = start("score", many, "--text", "body", "--model", BERT, "--limit", "20000")
    wait_until(lambda: scores(home))
    for pid, line in processes_of(home).items():
        if pid != command.pid and "cli.main jobs" not in line:
            os.kill(pid, signal.SIGKILL)
    command.kill()
    command.wait()
    finished = document(run("jobs", "watch", 1, "--json"))
    assert (finished["state"], finished["scored"], finished["failed"]) == ("done", 20_000, 0)
    with sqlite3.connect(home / "reviewmill.db") as database:
        counts = database.execute("SELECT count(*), count(DISTINCT review_id) FROM predictions").fetchone()
    assert counts == (20_000, 20_000)


def test_cancelling_keeps_what_was_scored(run: Run, start: Start, many: Path, home: Path) -> None:
    command = start("score", many, "--text", "body", "--model", BERT)
    wait_until(lambda: scores(home))
    assert document(run("jobs", "cancel", 1, "--json"))["state"] == "cancelled"
    assert command.wait(60) == 1
    scored = job(run, 1)["scored"]
    assert 0 < scored < 30_000
    assert len(json.loads(run("results", "--job", 1, "--json").stdout)) == scored


def test_the_demo_runs_and_reuses_what_it_made(run: Run) -> None:
    first = run("demo", "--train", 64, "--reviews", 60)
    assert first.returncode == 0, first
    for words in ("Accuracy against the known labels", "most negative", "most positive", "most uncertain"):
        assert words in first.stdout
    assert first.stdout.count("reviewmill ") >= 3
    second = run("demo", "--train", 64, "--reviews", 60)
    assert second.returncode == 0, second
    assert "Reusing demo-sentiment@1" in second.stdout
    assert "60 of them were scored" in second.stdout


def scores(home: Path) -> bool:
    """Whether the first job has scored something. Asked of the file itself: a command would take a second."""
    if not (home / "reviewmill.db").exists():
        return False
    try:
        with sqlite3.connect(home / "reviewmill.db") as database:
            return bool(database.execute("SELECT sum(scored) FROM chunks").fetchone()[0])
    except sqlite3.OperationalError:
        return False
