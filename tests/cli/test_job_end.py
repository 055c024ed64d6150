"""`--on-done` is run by whoever waits, and stored nowhere; `--notify` is stored with the job, or refused."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import redis
from sqlalchemy import select

from broker.redis_server import RedisServer
from db.claims import claim_chunk, finish_chunk
from db.database import Database
from db.jobs import NewJob, cancel_job, create_job, settle_job
from db.notifications import claim_notification, note_not_sent, note_sent
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from db.tables import Base, Notification
from tests.samples import SomeReview, facts
from tests.system import Start, home, leave_nothing, start, wait_until

__all__ = ["home", "leave_nothing", "start"]

Run = Callable[..., CompletedProcess[str]]
URL = "https://me:geheim@example.org/hook?token=geheim"
#: A csv of rows that are no reviews makes a job that is done at once, without a worker.
BLANK = "body\n \n  \n"


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> Database:
    """The database of commands, of each kind in turn, with a model."""
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)
    opened = open_database()
    with opened.write() as connection:
        register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
    return opened


@pytest.fixture
def client(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> redis.Redis:
    """A plain client of the Redis of commands, beside which no worker runs."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    return redis.Redis(unix_socket_path=os.fspath(server.socket))


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_NOTIFY_SECRET", "a secret of ours")


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    (tmp_path / "blank.csv").write_text(BLANK)
    return tmp_path / "blank.csv"


def make_job(database: Database, notify: str | None = None) -> int:
    with database.write() as connection:
        ids = store_reviews(connection, "f.csv", [SomeReview("1", "good"), SomeReview("2", "bad")])
        job_id, _ = create_job(connection, NewJob("score", {"source": "f.csv"}, [ids], model_id=1, notify=notify))
    return job_id


def end_job(database: Database, job_id: int, chunk_id: int = 1) -> None:
    with database.write() as connection:
        claim = claim_chunk(connection, chunk_id, "me", 60)
        assert claim is not None
        finish_chunk(connection, claim, scored=1, failed=1)
        settle_job(connection, job_id)


def score(run: Run, source: Path, *options: object) -> CompletedProcess[str]:
    return run("score", source, "--text", "body", "--model", "sentiment", *options)


def told(tmp_path: Path) -> dict[str, str]:
    """What `env > told.txt` wrote of the job."""
    lines = (tmp_path / "told.txt").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line.startswith("REVIEWMILL_JOB_"))
    return {name.removeprefix("REVIEWMILL_JOB_"): value for name, value in pairs.items()}


def test_a_watcher_s_command_finds_the_end_in_its_environment(run: Run, database: Database, tmp_path: Path) -> None:
    end_job(database, make_job(database))
    watched = run("jobs", "watch", 1, "--on-done", "env > told.txt")
    assert watched.returncode == 0, watched
    found = told(tmp_path)
    assert float(found.pop("SECONDS")) >= 0
    found.pop("REVIEWS_PER_SECOND", None)
    counts = {"TOTAL": "2", "SCORED": "1", "REUSED": "0", "FAILED": "1"}
    assert found == {"ID": "1", "KIND": "score", "STATE": "done", **counts}


def test_its_output_spoils_no_document_and_its_end_no_exit_code(run: Run, database: Database) -> None:
    end_job(database, make_job(database))
    watched = run("jobs", "watch", 1, "--json", "--on-done", "echo aloud; exit 3")
    assert watched.returncode == 0
    assert json.loads(watched.stdout)["state"] == "done"
    assert watched.stderr.splitlines() == ["aloud", "The --on-done command ended with 3: echo aloud; exit 3"]
    job_id = make_job(database)
    with database.write() as connection:
        cancel_job(connection, job_id)
    cancelled = run("jobs", "watch", 2, "--json", "--on-done", 'echo "it was $REVIEWMILL_JOB_STATE"')
    assert (cancelled.returncode, cancelled.stderr) == (1, "it was cancelled\n")


@pytest.mark.usefixtures("secret")
def test_score_runs_it_and_no_table_and_no_message_holds_it(
    run: Run, database: Database, client: redis.Redis, blank: Path, tmp_path: Path
) -> None:
    command = "env > told.txt # Kennwort"
    scored = score(run, blank, "--on-done", command, "--json")
    assert scored.returncode == 0, scored
    assert told(tmp_path)["STATE"] == "done"
    # One that waits for a worker, so that a message lies in Redis too.
    (tmp_path / "good.csv").write_text("body\ngood\n")
    assert score(run, tmp_path / "good.csv", "--no-wait", "--notify", URL).returncode == 0
    kept = [str(row) for table in Base.metadata.sorted_tables for row in rows_of(database, table)]
    assert len(kept) > 5
    assert "Kennwort" not in str(kept)
    assert "geheim" in str(kept)
    messages = [client.dump(key) for key in client.keys("*")]
    assert messages
    assert not any(b"Kennwort" in message or b"geheim" in message for message in messages)


def rows_of(database: Database, table: object) -> list[object]:
    with database.read() as connection:
        return list(connection.execute(select(table)))  # type: ignore[call-overload]


def test_with_nobody_waiting_it_is_refused(run: Run, database: Database, blank: Path) -> None:
    for command in (
        ("score", blank, "--text", "body", "--model", "sentiment"),
        ("finetune", blank, "--text", "body", "--label", "body", "--name", "m"),
    ):
        refused = run(*command, "--no-wait", "--on-done", "true")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.splitlines()[-1].startswith("Error: --on-done is run by whoever waits, and --no-wait")
    assert json.loads(run("jobs", "list", "--json").stdout) == []


@pytest.mark.usefixtures("client")
def test_who_leaves_early_is_told_that_it_is_not_run(database: Database, start: Start, tmp_path: Path) -> None:
    make_job(database)
    watching = start("jobs", "watch", 1, "--on-done", "env > told.txt", TTY_COMPATIBLE="1")
    wait_until(lambda: "waiting for a worker" in watching.said())
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 130
    assert "Not run, for it is run by whoever waits: --on-done env > told.txt" in watching.said()
    assert not (tmp_path / "told.txt").exists()


@pytest.mark.usefixtures("client", "secret")
def test_a_notification_is_stored_with_its_job_and_shown_without_its_secrets(
    run: Run, database: Database, blank: Path
) -> None:
    # A team's workers post it: nothing is waited for.
    scored = score(run, blank, "--notify", URL, "--json")
    assert scored.returncode == 0, scored
    with database.read() as connection:
        columns = (Notification.job_id, Notification.url, Notification.state)
        assert [tuple(row) for row in connection.execute(select(*columns))] == [(1, URL, "pending")]
    masked = "https://***@example.org/hook?***"
    shown = run("jobs", "show", 1)
    assert f"  {masked}: pending, posted once the job is over" in shown.stdout
    with database.write() as connection:
        delivery = claim_notification(connection, "me", 60)
        note_not_sent(connection, delivery, "answered 503", 503)
    assert f"  {masked}: pending after 1 attempt, answered 503, to be tried again at 2" in run("jobs", "show", 1).stdout
    (document,) = json.loads(run("jobs", "show", 1, "--json").stdout)["notifications"]
    assert (document["url"], document["state"], document["attempts"]) == (masked, "pending", 1)
    with database.write() as connection:
        note_sent(connection, delivery, 200)
    for one in (scored, shown, run("jobs", "show", 1), run("jobs", "show", 1, "--json")):
        assert "geheim" not in one.stdout + one.stderr


@pytest.mark.usefixtures("client", "secret")
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://me:geheim@example.org/", "--notify ftp://***@example.org/ is not a URL that can be posted to"),
        ("example.org/hook", "give http://HOST/PATH or https://HOST/PATH"),
        ("https://", "give http://HOST/PATH or https://HOST/PATH"),
        ("http://example.org:port/", "give http://HOST/PATH or https://HOST/PATH"),
        ("http://[geheim", "give http://HOST/PATH or https://HOST/PATH"),
        ("https://example.org/a b", "without spaces"),
        ("https://example.org/" + "x" * 2_000, "at most 2,000 ASCII characters"),
    ],
)
def test_what_cannot_be_posted_to_is_refused(run: Run, blank: Path, url: str, said: str) -> None:
    refused = score(run, blank, "--notify", url)
    assert (refused.returncode, refused.stdout) == (2, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert "geheim" not in line
    assert json.loads(run("jobs", "list", "--json").stdout) == []


@pytest.mark.usefixtures("client")
def test_without_a_secret_it_is_refused(run: Run, blank: Path) -> None:
    refused = score(run, blank, "--notify", URL)
    (line,) = refused.stderr.splitlines()
    assert refused.returncode == 2
    assert "set REVIEWMILL_NOTIFY_SECRET, the same here and for the workers" in line
    assert json.loads(run("jobs", "list", "--json").stdout) == []
