"""Prometheus asks real workers over HTTP, and hears what SQL has."""

import fcntl
import json
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import func, select

from broker.redis_server import RedisServer
from db.database import Database
from db.tables import Chunk, Failure, Prediction, TrainingMetric
from tests.poison import WORD, make_poisoned_checkpoint
from tests.samples import CHECKPOINTS
from tests.scrape import Scrape, free_ports, scrape
from tests.system import Start, Started, processes_of
from tests.system import wait_until as look_until

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"


@pytest.fixture
def port(server: RedisServer, database_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> int:
    """A team's set-up on each kind of database in turn; the first of the ports where its workers tell."""
    port = free_ports(2)
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "100")
    monkeypatch.setenv("REVIEWMILL_METRICS_PORT", str(port))
    assert run("db", "upgrade").returncode == 0
    return port


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A thousand reviews, some of which repeat others, and one that a poisoned model fails on."""
    path = tmp_path / "reviews.csv"
    lines = [f"wonderful or terrible number {number % 900} " + "again " * (number % 7) for number in range(999)]
    path.write_text("\n".join(["body", *lines, f"a {WORD} film"]) + "\n")
    return path


@pytest.fixture
def _cores_to_itself() -> Iterator[None]:
    """No other test that runs beside this one pins workers to this machine's cores: it would be refused them."""
    with (Path(tempfile.gettempdir()) / "reviewmill-tests-pin-cores.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def wait_until(true: Callable[[], object]) -> None:
    """Look until it is so, patiently: a process takes seconds to start where others are at work."""
    look_until(true, 240)


def stop(worker: Started) -> str:
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    return worker.said()


def told(port: int) -> Scrape:
    wait_until(lambda: scrape(port))
    answer = scrape(port)
    assert answer is not None
    return answer


def score(run: Run, source: Path, model: Path = BERT) -> dict:
    done = run("score", source, "--text", "body", "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_prometheus_reads_is_what_sql_has(
    run: Run, start: Start, port: int, reviews: Path, database_url: str, tmp_path: Path
) -> None:
    worker = start("worker", "--devices", "cpu")
    job = score(run, reviews, make_poisoned_checkpoint(tmp_path / "poisoned"))
    assert (job["total"], job["failed"]) == (1_000, 1)
    now = told(port)
    with Database(database_url).read() as connection:
        sums = [func.sum(getattr(Chunk, name)) for name in ("scored", "reused", "tokens", "batch_tokens", "device_s")]
        scored, reused, tokens, batch_tokens, device_s = connection.execute(select(*sums)).one()
        assert now.value("reviewmill_reviews_total") == connection.scalar(select(func.sum(Chunk.size))) == 1_000
        predictions = connection.scalar(select(func.count()).select_from(Prediction))
        failures = connection.scalar(select(func.count()).select_from(Failure))
        chunks = connection.scalar(select(func.count()).select_from(Chunk))
    model = {"model": "poisoned@1"}
    by_outcome = {name: now.value("reviewmill_reviews_total", outcome=name, **model) for name in ("scored", "reused")}
    assert by_outcome == {"scored": scored, "reused": reused}
    assert by_outcome["scored"] <= predictions < 1_000
    assert now.value("reviewmill_reviews_total", outcome="failed", **model) == failures == 1
    serving = {**model, "engine": "openvino", "precision": "float32"}
    assert now.value("reviewmill_tokens_total", **serving) == tokens
    assert now.value("reviewmill_padding_tokens_total", **serving) == batch_tokens - tokens > 0
    assert now.value("reviewmill_batches_total", **serving) >= chunks / 10
    # The poison was looked for by halving.
    assert now.value("reviewmill_batch_failures_total", **serving) > 1
    # The timer stands within the one that SQL is told of.
    assert 0 < now.value("reviewmill_device_busy_seconds_total", work="inference") <= device_s * 1.001
    assert now.value("reviewmill_chunks_total", kind="score", outcome="done") == chunks
    assert now.value("reviewmill_chunks_total") == chunks
    assert now.value("reviewmill_chunk_seconds_count", kind="score") == chunks
    assert now.value("reviewmill_model_info", **serving) == now.value("reviewmill_model_loads_total", **serving) == 1
    (about,) = now.labels("reviewmill_worker_info")
    assert about["queues"] == "score,train"
    assert about["device"] in {labels["device"] for labels in now.labels("reviewmill_batches_total")}
    assert now.value("process_resident_memory_bytes") > 1e6
    assert "chunk_retry" not in stop(worker)


@pytest.mark.usefixtures("_cores_to_itself")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_processes_tell_apart_and_one_that_dies_tells_again_on_its_port(
    run: Run, start: Start, port: int, reviews: Path, home: Path
) -> None:
    worker = start("worker", "--devices", "cpu", "--processes", 2)
    first, second = told(port), told(port + 1)
    score(run, reviews)
    shares = [told(number).value("reviewmill_reviews_total") for number in (port, port + 1)]
    assert sum(shares) == 1_000
    pids = [pid for pid, line in processes_of(home).items() if "worker.process" in line]
    started = {told(number).value("process_start_time_seconds") for number in (port, port + 1)}
    assert started == {first.value("process_start_time_seconds"), second.value("process_start_time_seconds")}
    os.kill(pids[0], signal.SIGKILL)

    def both_tell_and_one_is_new() -> bool:
        now = [scrape(port), scrape(port + 1)]
        return all(now) and {one.value("process_start_time_seconds") for one in now if one} != started

    wait_until(both_tell_and_one_is_new)
    counts = {told(number).value("reviewmill_reviews_total") for number in (port, port + 1)}
    assert counts in ({0, shares[0]}, {0, shares[1]})
    said = stop(worker)
    assert said.count("metrics_served") == 3
    assert f"metrics_port={port} " in said
    assert f"metrics_port={port + 1} " in said


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_training_is_counted_step_by_step(run: Run, start: Start, port: int, database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "labelled.csv"
    path.write_text(
        "body,stars\n" + "".join(f"a {word} film {n},{word}\n" for n in range(60) for word in ("good", "bad"))
    )
    worker = start("worker", "--devices", "cpu")
    told(port)
    columns = ("--text", "body", "--label", "stars")
    options = ("--name", "stars", "--base", BERT, "--epochs", 2, "--batch-size", 8, "--accumulate", 2)
    enqueued = run("finetune", path, *columns, *options, "--no-wait", "--json")
    assert enqueued.returncode == 0, enqueued.stderr
    steps = json.loads(run("jobs", "show", 1, "--json").stdout)["params"]["steps"]
    assert json.loads(run("jobs", "watch", 1, "--json").stdout)["state"] == "done"
    wait_until(lambda: told(port).value("reviewmill_chunks_total", kind="finetune", outcome="done") == 1)
    now = told(port)
    with Database(database_url).read() as connection:
        assert connection.scalar(select(func.max(TrainingMetric.step))) == steps
    assert now.value("reviewmill_training_steps_total", model="stars") == steps > 5
    assert now.value("reviewmill_device_busy_seconds_total", work="training") > 0
    assert now.value("reviewmill_chunk_seconds_count", kind="finetune") == 1
    # It is shown while it changes.
    assert now.labels("reviewmill_training_loss") == []
    stop(worker)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_port_that_is_taken_does_not_keep_a_worker_from_its_work(
    run: Run, start: Start, port: int, reviews: Path
) -> None:
    with socket.create_server(("127.0.0.1", port)):
        worker = start("worker", "--devices", "cpu")
        assert score(run, reviews)["state"] == "done"
    said = stop(worker)
    assert "metrics_not_served" in said
    assert f"port={port}" in said


def test_a_beat_tells_what_waits(run: Run, start: Start, port: int, reviews: Path) -> None:
    columns = ("--text", "body", "--model", BERT)
    for priority, limit in (("high", 250), ("low", 1_000)):
        assert run("score", reviews, *columns, "--priority", priority, "--limit", limit, "--no-wait").returncode == 0
    beat = start("beat")
    now = told(port)
    waiting = {
        priority: now.value("reviewmill_queue_chunks", queue="score", priority=priority, state="waiting")
        for priority in ("high", "normal", "low")
    }
    assert waiting == {"high": 3, "normal": 0, "low": 10}
    assert now.value("reviewmill_queue_oldest_chunk_age_seconds", queue="score", priority="high") > 0
    assert now.value("reviewmill_queue_oldest_chunk_age_seconds", queue="train") == 0
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(10) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("port")
def test_a_port_that_is_none_is_refused_in_a_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_METRICS_PORT", "70000")
    refused = run("worker", "--devices", "cpu")
    assert refused.returncode == 2
    assert refused.stderr.startswith("Error: the setting REVIEWMILL_METRICS_PORT is '70000'")
    assert "Traceback" not in refused.stderr
