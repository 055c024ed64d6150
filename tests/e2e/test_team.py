"""A team's set-up: one Redis, one database, workers of their own. The same commands, two URLs."""

import json
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from broker.redis_server import RedisServer
from tests.samples import CHECKPOINTS
from tests.system import Start, Started, processes_of

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"


@pytest.fixture
def team(server: RedisServer, database_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of a team, on each kind of database in turn."""
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "500")
    assert run("db", "upgrade").returncode == 0


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("body\n" + "".join(f"wonderful or terrible number {number}\n" for number in range(6_000)))
    return path


def status(run: Run, job_id: int = 1) -> dict:
    return json.loads(run("jobs", "show", job_id, "--json").stdout)


def stop(worker: Started) -> str:
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    return worker.said()


@pytest.mark.usefixtures("team")
def test_jobs_wait_for_workers_and_workers_for_jobs(run: Run, start: Start, reviews: Path) -> None:
    enqueued = json.loads(run("score", reviews, "--text", "body", "--model", BERT, "--no-wait", "--json").stdout)
    assert (enqueued["state"], enqueued["total"]) == ("pending", 6_000)
    worker = start("worker", "--devices", "cpu")
    finished = json.loads(run("jobs", "watch", 1, "--json").stdout)
    assert (finished["state"], finished["scored"]) == ("done", 6_000)
    log = stop(worker)
    assert "Traceback" not in log
    assert "chunk_retry" not in log


def test_two_workers_share_a_job_without_doing_anything_twice(
    run: Run, start: Start, reviews: Path, server: RedisServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "200")
    run("score", reviews, "--text", "body", "--model", BERT, "--no-wait")
    workers = [start("worker", "--devices", "cpu") for _ in range(2)]
    finished = json.loads(run("jobs", "watch", 1, "--json").stdout)
    assert (finished["state"], finished["scored"], finished["reused"]) == ("done", 6_000, 0)
    with sqlite3.connect(home / "reviewmill.db") as database:
        assert database.execute("SELECT count(*) FROM predictions").fetchone() == (6_000,)
        assert database.execute("SELECT max(attempt) FROM chunks").fetchone() == (1,)
    logs = [stop(worker) for worker in workers]
    assert all("chunk_scored" in log for log in logs)


def test_a_cpu_worker_scores_without_tensorflow_in_its_process(
    run: Run, start: Start, reviews: Path, server: RedisServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    worker = start("worker", "--devices", "cpu")
    run("score", reviews, "--text", "body", "--model", BERT, "--limit", 50)
    (pid,) = [pid for pid, line in processes_of(home).items() if "worker.process" in line]
    mapped = Path(f"/proc/{pid}/maps").read_text()
    assert "libopenvino" in mapped
    for library in ("tensorflow", "nncf", "scipy", "sklearn"):
        assert f"/site-packages/{library}/" not in mapped
    stop(worker)


def test_an_estimate_knows_the_workers_alive_and_counts_tokens_as_they_do(
    run: Run, start: Start, reviews: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    reviews.write_text("body\n" + "".join(f"wonderful {'or terrible ' * (n % 40)}{n}\n" for n in range(300)))
    ask = ("estimate", reviews, "--model", BERT, "--json")
    before = json.loads(run(*ask).stdout)
    assert (before["devices"], before["to_score"], before["seconds"]) == ([], 300, None)
    worker = start("worker", "--devices", "cpu")
    run("score", reviews, "--model", BERT)
    after = json.loads(run(*ask).stdout)
    found = json.loads(run("results", "--job", 1, "--json").stdout)
    assert after["tokens"] == before["tokens"] == sum(one["tokens"] for one in found)
    assert after["sample"]["truncated"] == sum(one["truncated"] for one in found) > 0
    assert (after["to_score"], after["seconds"]) == (0, [0.0, 0.0])
    assert after["devices"] == [*after["tokens_per_second"]] == [f"cpu@{socket.gethostname()}"]
    stop(worker)
    assert json.loads(run(*ask).stdout)["devices"] == []
