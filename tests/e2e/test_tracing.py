"""One trace tells of a job from the command that enqueued it to the workers that did it."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import func, select

from broker.redis_server import RedisServer
from db.database import Database
from db.tables import Chunk, Job
from tests.otlp import Collector, Span, collector
from tests.samples import CHECKPOINTS
from tests.system import Start, Started

__all__ = ["collector"]

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
STEPS = {"read", "model", "tokenize", "infer", "write"}

ENQUEUE = """
import sys
if "--without-the-extra" in sys.argv:
    sys.modules["opentelemetry"] = None
from pathlib import Path
from producer import Client
with Client() as client:
    client.score("reviews.csv", text="body", model=sys.argv[1])
# The client of Redis looks for what counts, whatever we do; not for what traces.
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk.trace", "opentelemetry.exporter"))))
"""


@pytest.fixture(autouse=True)
def team(server: RedisServer, database_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a team, on each kind of database in turn."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "100")
    monkeypatch.setenv("REVIEWMILL_LOG_FORMAT", "json")
    assert run("db", "upgrade").returncode == 0


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("body\n" + "".join(f"wonderful or terrible number {number}\n" for number in range(400)))
    return path


def enqueue(run: Run, source: Path, *options: object, model: Path = BERT) -> None:
    done = run("score", source, "--text", "body", "--model", model, "--no-wait", *options)
    assert done.returncode == 0, done.stderr


def stop(worker: Started) -> list[dict]:
    """Stop a worker, which sends what spans it has left; return the lines that it logged."""
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    return [json.loads(line) for line in worker.said().split("\n") if line]


def wait_for_end(run: Run, job_id: int = 1) -> None:
    run("jobs", "watch", job_id, "--json")


def children(collector: Collector, parent: Span) -> dict[str, Span]:
    return {span.name: span for span in collector.spans if span.parent_id == parent.span_id}


def test_a_job_is_one_trace_from_producer_to_worker(
    run: Run, start: Start, reviews: Path, collector: Collector, database_url: str
) -> None:
    enqueue(run, reviews)
    worker = start("worker", "--devices", "cpu")
    wait_for_end(run)
    lines = stop(worker)
    (enqueued,) = collector.named("enqueue")
    assert (enqueued.service, enqueued.parent_id) == ("reviewmill", "")
    assert enqueued.facts == {
        "reviewmill.kind": "score",
        "reviewmill.priority": "normal",
        "reviewmill.model": "bert@1",
        "reviewmill.job": 1,
        "reviewmill.chunks": 4,
    }
    with Database(database_url).read() as connection:
        assert connection.scalar(select(Job.params))["traceparent"].split("-")[1:3] == [
            enqueued.trace_id,
            enqueued.span_id,
        ]
        chunk_ids = set(connection.scalars(select(Chunk.id)))
    assert {span.trace_id for span in collector.spans} == {enqueued.trace_id}
    chunks = collector.named("chunk")
    assert {span.facts["reviewmill.chunk"] for span in chunks} == chunk_ids
    for chunk in chunks:
        assert chunk.parent_id == enqueued.span_id
        assert chunk.process != enqueued.process
        assert (chunk.facts["reviewmill.job"], chunk.error) == (1, None)
        assert set(children(collector, chunk)) == STEPS
    assert collector.named("infer")[0].facts["reviewmill.precision"] == "float32"
    # Logs name the trace that they are part of.
    of_chunks = [line for line in lines if line["action"] == "chunk_scored"]
    assert {line["trace_id"] for line in of_chunks} == {enqueued.trace_id}
    assert {line["span_id"] for line in of_chunks} == {chunk.span_id for chunk in chunks}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_small_jobs_that_are_worked_on_together_are_linked(
    run: Run, start: Start, reviews: Path, collector: Collector
) -> None:
    for _ in range(3):
        enqueue(run, reviews, "--limit", 2)
    worker = start("worker", "--devices", "cpu")
    for job_id in (1, 2, 3):
        wait_for_end(run, job_id)
    stop(worker)
    (chunk,) = collector.named("chunk")
    traces = {span.trace_id for span in collector.named("enqueue")}
    assert len(traces) == 3
    assert {chunk.trace_id} | chunk.linked == traces
    assert len(chunk.linked) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_goes_wrong_is_in_the_trace(
    run: Run, start: Start, reviews: Path, collector: Collector, tmp_path: Path
) -> None:
    model = tmp_path / "bert"
    shutil.copytree(BERT, model)
    enqueue(run, reviews, "--limit", 2, model=model)
    shutil.rmtree(model)
    worker = start("worker", "--devices", "cpu")
    wait_for_end(run)
    stop(worker)
    (chunk,) = collector.named("chunk")
    assert (chunk.error or "").startswith("ModelMissing: the files of bert@1 are gone")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_training_is_one_trace(run: Run, start: Start, collector: Collector, tmp_path: Path) -> None:
    path = tmp_path / "labelled.csv"
    path.write_text(
        "body,stars\n" + "".join(f"a {word} film {n},{word}\n" for n in range(30) for word in ("good", "bad"))
    )
    options = ("--text", "body", "--label", "stars", "--name", "stars", "--base", BERT)
    assert run("finetune", path, *options, "--no-wait").returncode == 0
    worker = start("worker", "--devices", "cpu")
    wait_for_end(run)
    stop(worker)
    (enqueued,), (chunk,) = collector.named("enqueue"), collector.named("chunk")
    assert (chunk.trace_id, chunk.parent_id) == (enqueued.trace_id, enqueued.span_id)
    assert set(children(collector, chunk)) == {"train", "evaluate", "write"}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_collector_that_is_away_changes_nothing_but_a_line(
    run: Run, start: Start, reviews: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    enqueue(run, reviews)
    worker = start("worker", "--devices", "cpu")
    wait_for_end(run)
    lines = stop(worker)
    assert json.loads(run("jobs", "show", 1, "--json").stdout)["scored"] == 400
    said = {line["logger"].partition(".")[0] for line in lines if line["action"] == "library"}
    assert "opentelemetry" in said


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("with_endpoint", [False, True])
def test_without_the_extra_or_an_endpoint_there_is_no_trace_of_it(
    reviews: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, with_endpoint: bool
) -> None:
    if with_endpoint:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    command = [sys.executable, "-c", ENQUEUE, str(BERT), *(["--without-the-extra"] if with_endpoint else [])]
    done = subprocess.run(command, cwd=reviews.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert ("tracing_not_installed" in done.stdout + done.stderr) == with_endpoint
    with Database(database_url).read() as connection:
        assert "traceparent" not in connection.scalar(select(Job.params))
        assert connection.scalar(select(func.count()).select_from(Job)) == 1
