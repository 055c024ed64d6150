"""`reviewmill schedule`: what it says, and what it refuses in one line, with nothing stored."""

import json
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import click
import pytest
from click.testing import CliRunner

from cli.main import reviewmill
from cli.output import local_time
from db.errors import DatabaseError
from db.jobs import list_jobs
from db.schedules import StoredSchedule, add_schedule, find_schedule, list_schedules
from db.schema import open_database
from producer.errors import ProducerError
from tests.samples import CHECKPOINTS

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
YEARLY = "0 2 1 1 *"
LATER = datetime(2036, 1, 1, tzinfo=UTC)
SCORE = ("--", "score", "reviews.csv", "--text", "body", "--id", "key", "--model", BERT)


@pytest.fixture(autouse=True)
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("key,body,label\n" + "".join(f"{n},text {n},{'ab'[n % 2]}\n" for n in range(20)))
    return path


@pytest.fixture
def nightly(run: Run) -> StoredSchedule:
    added = run("schedule", "add", "nightly", "--cron", "0 2 * * *", "--timezone", "Europe/Berlin", *SCORE)
    assert (added.returncode, added.stderr) == (0, "")
    return stored()


def stored(name: str = "nightly") -> StoredSchedule:
    with open_database().read() as connection:
        return find_schedule(connection, name)


def test_what_is_added_is_kept_as_it_was_typed(nightly: StoredSchedule, run: Run, tmp_path: Path) -> None:
    arguments = ["reviews.csv", "--text", "body", "--id", "key", "--model", str(BERT)]
    assert nightly.params == {
        "arguments": arguments,
        "directory": str(tmp_path),
        "overlap": "skip",
        "rescore": False,
    }
    assert (nightly.command, nightly.cron, nightly.timezone) == ("score", "0 2 * * *", "Europe/Berlin")
    assert nightly.next_run_at is not None
    assert nightly.next_run_at.minute == 0
    assert nightly.next_run_at.hour in (0, 1)  # 02:00 in Berlin
    listed = run("schedule", "list").stdout
    assert local_time(nightly.next_run_at) in listed
    assert "nightly" in listed
    (document,) = json.loads(run("schedule", "list", "--json").stdout)
    assert document["next_run_at"] == nightly.next_run_at.isoformat()
    assert document["last_run"] is None
    shown = run("schedule", "show", "nightly").stdout
    assert f"score reviews.csv --text body --id key --model {BERT}" in shown


#: What stands between `schedule add NAME --cron CRON` and what is said.
REFUSED = [
    (["x", "--cron", "0 2 * *", *SCORE], "five fields"),
    (["x", "--cron", "0 2 31 2 *", *SCORE], "day-of-month"),
    (["x", "--cron", "0 2 * * *", "--timezone", "Europe/Berlln", *SCORE], "did you mean Europe/Berlin?"),
    (["x y", "--cron", "0 2 * * *", *SCORE], "cannot name a schedule"),
    (["x", "--cron", "0 2 * * *", "--overlap", "pile", *SCORE], "'pile' is not one of 'skip', 'queue'"),
    (["x", "--cron", "0 2 * * *"], "Missing argument '-- score|finetune ...'"),
    (["x", "--cron", "0 2 * * *", "--", "jobs", "list"], "'jobs' cannot be scheduled; these can: score, finetune"),
    (["x", "--cron", "0 2 * * *", *SCORE, "--no-wait"], "--no-wait is for somebody who waits"),
    (["x", "--cron", "0 2 * * *", *SCORE, "--json"], "--json is for somebody who waits"),
    (["x", "--cron", "0 2 * * *", *SCORE, "--texta", "body"], "No such option '--texta'"),
    (["x", "--cron", "0 2 * * *", *SCORE, "--text", "bodi"], "no column 'bodi'"),
    (["x", "--cron", "0 2 * * *", *SCORE, "--model", "nobody"], "no model is named 'nobody'"),
    (["x", "--cron", "0 2 * * *", "--", "score", "nowhere.csv", "--text", "body"], "no such file: 'nowhere.csv'"),
    (["x", "--cron", "0 2 * * *", "--", "score", "-", "--text", "body"], "a schedule has no standard input"),
    (
        ["x", "--cron", "0 2 * * *", "--rescore", "--", "finetune", "reviews.csv", "--text", "body"],
        "--rescore is for schedules that score",
    ),
    (
        ["x", "--cron", "0 2 * * *", "--", "finetune", "reviews.csv", "--text", "label", "--name", "m"],
        "which column is the label is not obvious",
    ),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_cannot_run_is_refused_at_once(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((click.ClickException, ProducerError, DatabaseError)) as refused:
        CliRunner().invoke(
            reviewmill, ["schedule", "add", *map(str, arguments)], standalone_mode=False, catch_exceptions=False
        )
    message = getattr(refused.value, "format_message", lambda: str(refused.value))()
    assert said in message
    assert "\n" not in message
    with open_database().read() as connection:
        assert list_schedules(connection) == []


def test_a_refusal_is_one_line_and_exit_code_2(run: Run, nightly: StoredSchedule) -> None:
    again = run("schedule", "add", "nightly", "--cron", "0 2 * * *", *SCORE)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("Error: there is a schedule nightly already;")
    assert again.stderr.count("\n") == 1
    unknown = run("schedule", "pause", "weekly")
    assert (unknown.returncode, unknown.stderr) == (2, "Error: there is no schedule weekly; there are: nightly\n")


def test_a_run_by_hand_enqueues_and_another_does_not_overlap_it(run: Run, nightly: StoredSchedule) -> None:
    enqueued = json.loads(run("schedule", "run", "nightly", "--no-wait", "--json").stdout)
    assert (enqueued["job_id"], enqueued["state"], enqueued["total"], enqueued["skipped"]) == (1, "pending", 20, 0)
    refused = run("schedule", "run", "nightly", "--no-wait")
    assert refused.returncode == 2
    assert "job 1 of the run before is still pending, and runs of nightly do not overlap" in refused.stderr
    shown = json.loads(run("schedule", "show", "nightly", "--json").stdout)
    assert [(one["job_id"], one["outcome"], one["job_total"]) for one in shown["runs"]] == [(1, "pending", 20)]
    assert "job 1 pending" in run("schedule", "list").stdout
    job = json.loads(run("jobs", "show", 1, "--json").stdout)
    assert (job["schedule_id"], job["params"]["schedule"]) == (nightly.id, "nightly")


def test_a_run_by_hand_that_fails_says_why_and_keeps_it(run: Run, nightly: StoredSchedule, reviews: Path) -> None:
    reviews.unlink()
    failed = run("schedule", "run", "nightly")
    assert failed.returncode == 2
    assert failed.stderr.splitlines()[-1] == "Error: no such file: 'reviews.csv'"
    assert "nightly failed: no such file: 'reviews.csv'" in run("schedule", "list").stdout
    with open_database().read() as connection:
        assert list_jobs(connection) == []


def test_passwords_of_a_source_are_never_shown(tmp_path: Path) -> None:
    urls = {
        "sql:postgresql://me:pa:s@s@db:5432/shop?sslpassword=hush&table=texts": (
            "sql:postgresql://me:***@db:5432/shop?sslpassword=***&table=texts"
        ),
        "https://host:8443/reviews.csv?token=hush": "https://host:8443/reviews.csv?token=***",
        "sql:sqlite:///shop.db?query=SELECT body FROM texts WHERE key=5": None,
        "./a:b@c.csv": None,
    }
    params = {"arguments": [*urls, "--text", "body"], "directory": "/", "overlap": "skip", "rescore": False}
    with open_database().write() as connection:
        add_schedule(
            connection, "nightly", cron=YEARLY, timezone="UTC", command="score", params=params, next_run_at=LATER
        )
    for arguments in (["list", "--json"], ["show", "nightly"], ["show", "nightly", "--json"], ["pause", "nightly"]):
        shown = CliRunner().invoke(reviewmill, ["schedule", *arguments]).output
        assert not {"hush", "pa:s"} & set(re.findall(r"hush|pa:s", shown))
    document = json.loads(CliRunner().invoke(reviewmill, ["schedule", "show", "nightly", "--json"]).output)
    assert document["params"]["arguments"] == [*(shown or url for url, shown in urls.items()), "--text", "body"]
    assert stored().params == params


def test_pause_resume_and_remove(run: Run, nightly: StoredSchedule) -> None:
    assert run("schedule", "pause", "nightly").stdout == "nightly is paused.\n"
    assert (stored().enabled, stored().next_run_at) == (False, None)
    assert "paused" in run("schedule", "list").stdout
    resumed = json.loads(run("schedule", "resume", "nightly", "--json").stdout)
    assert (resumed["enabled"], resumed["next_run_at"]) == (True, stored_next())
    assert json.loads(run("schedule", "remove", "nightly", "--json").stdout) == {"name": "nightly", "jobs_kept": 0}
    assert json.loads(run("schedule", "list", "--json").stdout) == []


def stored_next() -> str:
    coming = stored().next_run_at
    assert coming is not None
    return coming.isoformat()


@pytest.mark.parametrize(
    "argument",
    [
        "sql:postgresql://me:hush@db/shop?table=texts",
        "sql:postgresql://me@db/shop?sslpassword=hush&table=texts",
        "https://me:hush@host/reviews.csv",
        "https://host/reviews.csv?token=${PART}hush",
        "--notify=https://me:hush@host/done",
    ],
)
def test_a_schedule_takes_no_password(argument: str) -> None:
    command = ["schedule", "add", "nightly", "--cron", YEARLY, "--", "score", argument, "--text", "body"]
    result = CliRunner().invoke(reviewmill, command)
    assert result.exit_code == 2
    assert "no password may be: write ${NAME} in the place of the one in" in result.output.replace("\n", " ")
    assert "hush" not in result.output
    with open_database().read() as connection:
        assert list_schedules(connection) == []


def test_a_password_that_the_environment_has_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE texts (body)")
        connection.execute("INSERT INTO texts VALUES ('good')")
    monkeypatch.setenv("SHOP", f"sqlite:///{tmp_path / 'shop.db'}?timeout=5")
    source = ["sql:${SHOP}?table=texts", "--text", "body", "--model", str(BERT)]
    command = ["schedule", "add", "nightly", "--cron", YEARLY, "--", "score", *source]
    result = CliRunner().invoke(reviewmill, command)
    assert result.exit_code == 0, result.output
    assert stored().params["arguments"] == source
