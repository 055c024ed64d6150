"""What a real run logs can be read by programs: every line an object, every line about a chunk with its ids."""

import json
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from broker.redis_server import RedisServer
from tests.poison import WORD, make_poisoned_checkpoint
from tests.samples import CHECKPOINTS
from tests.system import Start, Started, processes_of, wait_until

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
#: Lines about the process or about others' chunks; all other lines are about chunks that it works on.
OF_THE_PROCESS = {"worker_started", "worker_ready", "worker_stops", "worker_stopped", "swept", "library"}


@pytest.fixture(autouse=True)
def team(server: RedisServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a team on SQLite, whose logs programs read."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "100")
    monkeypatch.setenv("REVIEWMILL_LOG_FORMAT", "json")
    assert run("db", "upgrade").returncode == 0


def stop(worker: Started) -> list[dict]:
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    return [json.loads(line) for line in worker.said().split("\n") if line]


def check(line: dict) -> None:
    """Whether a line has what every line has."""
    assert {"event", "action", "level", "timestamp"} <= set(line), line
    assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
    assert line["level"] in {"info", "warning", "error"}
    if line["action"] not in OF_THE_PROCESS:
        has_one, has_several = {"job", "chunk"} <= set(line), {"jobs", "chunks"} <= set(line)
        assert has_one != has_several, line


def test_every_line_of_a_run_is_an_object_with_the_ids_of_its_chunks(run: Run, start: Start, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("body\n" + "".join(f"number {number}\n" for number in range(250)) + f"a {WORD} film\n")
    labelled = tmp_path / "labelled.csv"
    labelled.write_text("body,stars\n" + "".join(f"a {w} film {n},{w}\n" for n in range(30) for w in ("good", "bad")))
    scoring = ("--text", "body", "--model", make_poisoned_checkpoint(tmp_path / "poisoned"), "--no-wait")
    assert run("score", path, *scoring).returncode == 0
    # Two of them, so small that they are worked on together.
    for _ in range(2):
        assert run("score", path, "--text", "body", "--model", BERT, "--limit", 5, "--no-wait").returncode == 0
    training = ("--text", "body", "--label", "stars", "--name", "stars", "--base", BERT, "--no-wait")
    assert run("finetune", labelled, *training).returncode == 0
    worker = start("worker", "--devices", "cpu")
    for job_id in (1, 2, 3, 4):
        assert json.loads(run("jobs", "watch", job_id, "--json").stdout)["state"] == "done"
    lines = stop(worker)
    for line in lines:
        check(line)
    by_action = {line["action"]: line for line in lines}
    assert by_action["batch_failed"]["job"] == 1
    assert by_action["chunk_scored"].keys() >= {"job", "chunk", "attempt", "scored", "tokens"}
    # Lines of what knows nothing of chunks.
    assert {"model_loaded", "state_saved", "model_trained"} <= set(by_action)
    assert by_action["state_saved"]["job"] == by_action["model_trained"]["job"] == 4
    together = [line for line in lines if line["action"] == "model_loaded" and "chunks" in line]
    assert [line["jobs"] for line in together] == [[2, 3]]
    assert {line["job"] for line in lines if line["action"] == "chunk_scored"} == {1, 2, 3}


def test_an_error_s_traceback_is_in_its_object(
    run: Run, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("body\ngood\n")
    model = make_poisoned_checkpoint(tmp_path / "model")
    assert run("score", path, "--text", "body", "--model", model, "--no-wait").returncode == 0
    (model / "config.json").unlink()
    # Nothing is built of it yet, so that its files are read.
    monkeypatch.setenv("REVIEWMILL_ENGINES", str(tmp_path / "engines"))
    worker = start("worker", "--devices", "cpu")
    assert json.loads(run("jobs", "watch", 1, "--json").stdout)["state"] == "failed"
    lines = stop(worker)
    for line in lines:
        check(line)
    (failed,) = [line for line in lines if line["action"] == "chunk_failed"]
    assert failed["exception"].startswith("Traceback (most recent call last):\n")
    assert (failed["job"], failed["chunk"], failed["level"]) == (1, 1, "error")


@pytest.mark.parametrize(("level", "logged"), [("warning", False), ("debug", True)])
def test_the_level_is_a_setting(
    start: Start, home: Path, monkeypatch: pytest.MonkeyPatch, level: str, logged: bool
) -> None:
    monkeypatch.setenv("REVIEWMILL_LOG_LEVEL", level)
    worker = start("worker", "--devices", "cpu", "--queues", "score")
    wait_until(lambda: any("worker.process" in line for line in processes_of(home).values()))
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert ("worker_started" in worker.said()) == logged


@pytest.mark.parametrize(("setting", "value"), [("FORMAT", "xml"), ("LEVEL", "loud")])
def test_a_form_that_there_is_not_is_refused_in_a_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(f"REVIEWMILL_LOG_{setting}", value)
    refused = run("worker", "--devices", "cpu")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"Error: the setting REVIEWMILL_LOG_{setting} is '{value}': ")
    assert "Traceback" not in refused.stderr


def test_a_beat_logs_in_the_same_form(start: Start) -> None:
    beat = start("beat", REVIEWMILL_LOG_LEVEL="debug")
    wait_until(lambda: "goes on" in beat.said())
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(20) == 0
    assert [line for line in beat.said().split("\n") if line and line[0] != "{"] == [
        "The beat goes on. Ctrl-C stops it."
    ]
