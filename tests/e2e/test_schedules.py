"""Schedules on the embedded stack: `reviewmill up` runs what is due, and a run by hand is followed like any job."""

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

from tests.samples import CHECKPOINTS
from tests.system import Start, nothing_runs, wait_until

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"


def document(result: CompletedProcess[str]) -> dict:
    assert result.returncode == 0, result
    return json.loads(result.stdout)


def make_due(home: Path, night: int) -> None:
    with closing(sqlite3.connect(home / "reviewmill.db")) as database, database:
        database.execute(f"UPDATE schedules SET next_run_at = '2026-01-0{night} 02:00:00.000000'")


def last_run(run: Run) -> dict:
    listed = json.loads(run("schedule", "list", "--json").stdout)
    return listed[0]["last_run"] or {}


def test_up_runs_what_is_due_and_follows_the_alias_from_night_to_night(
    run: Run, start: Start, tmp_path: Path, home: Path
) -> None:
    reviews = tmp_path / "reviews.csv"
    reviews.write_text("key,body\n1,good\n2,bad\n")
    for checkpoint in ("bert", "distilbert"):
        assert run("models", "add", CHECKPOINTS / checkpoint, "--name", "stars").returncode == 0
    assert run("models", "promote", "stars@1", "production").returncode == 0
    columns = ("--text", "body", "--id", "key", "--model", "stars@production")
    added = run("schedule", "add", "nightly", "--cron", "0 2 1 1 *", "--", "score", "reviews.csv", *columns)
    assert added.returncode == 0, added
    up = start("up")
    make_due(home, night=1)
    wait_until(lambda: last_run(run).get("outcome") == "done")
    assert run("models", "promote", "stars@2", "production").returncode == 0
    reviews.write_text("key,body\n1,good\n2,bad\n3,new\n")
    make_due(home, night=2)
    wait_until(lambda: last_run(run).get("job_id") == 2 and last_run(run)["outcome"] == "done")
    first, second = (document(run("jobs", "show", id_, "--json")) for id_ in (1, 2))
    assert (first["model"], first["scored"], first["params"]["skipped"]) == ("stars@1", 2, 0)
    assert (second["model"], second["scored"], second["params"]["skipped"]) == ("stars@2", 1, 2)
    up.send_signal(signal.SIGINT)
    assert up.wait(30) == 0
    assert "Traceback" not in up.said()
    wait_until(lambda: nothing_runs(home), 30)


def test_a_run_by_hand_is_followed_to_its_end(run: Run, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("key,body\n1,good\n2,bad\n")
    columns = ("--text", "body", "--id", "key", "--model", BERT)
    added = run("schedule", "add", "nightly", "--cron", "0 2 1 1 *", "--", "score", "reviews.csv", *columns)
    assert added.returncode == 0, added
    first = document(run("schedule", "run", "nightly", "--json"))
    assert (first["state"], first["scored"], first["skipped"]) == ("done", 2, 0)
    second = run("schedule", "run", "nightly")
    assert second.returncode == 0
    assert "2 rows were scored before and left out." in second.stdout
