"""`reviewmill workers` tells who is alive, and what each is doing, in the width there is."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import update

from db.claims import claim_chunk
from db.clock import utc_now
from db.jobs import NewJob, create_job
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from db.tables import WorkerProcess
from db.workers import SignOfLife, register_worker
from tests.samples import SomeReview, facts

Run = Callable[..., CompletedProcess[str]]
MODEL = {"model": "stars@1", "precision": "int8", "bytes": 90_000_000}
IDLE = SignOfLife("box:7", "box", 7, "cpu@box", ["score", "train"], "auto", [], version("reviewmill"), 0.0, 0.0)
WORKING = replace(
    IDLE, owner="far:8", host="far", pid=8, device="gpu0@far", queues=["score"], engine="tensorflow", models=[MODEL]
)


def register(*signs: SignOfLife) -> None:
    with open_database().write() as connection:
        for sign in signs:
            register_worker(connection, sign)


@pytest.fixture
def working() -> tuple[int, list[int]]:
    """Two workers, of which one holds two chunks of a job; and one that died. Returns the job and its chunks."""
    register(IDLE, replace(WORKING, reviews_per_s=1234.56, busy=0.987), replace(IDLE, owner="box:9"))
    with open_database().write() as connection:
        model = register_model(connection, "stars", Path("/models/stars"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview(f"r{n}", f"text {n}") for n in range(4)])
        job_id, chunks = create_job(connection, NewJob("score", {}, [[one] for one in ids], model_id=model.id))
        for chunk_id in chunks[:2]:
            assert claim_chunk(connection, chunk_id, WORKING.owner, 60)
        long_ago = update(WorkerProcess).where(WorkerProcess.owner == "box:9").values(seen_at=utc_now(-90))
        connection.execute(long_ago)
        two_hours = update(WorkerProcess).where(WorkerProcess.owner == "far:8").values(started_at=utc_now(-7_205))
        connection.execute(two_hours)
    return job_id, chunks


@pytest.mark.parametrize("columns", [80, 200])
def test_the_living_are_listed_in_the_width_there_is(
    run: Run, working: tuple[int, list[int]], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    listed = run("workers")
    assert listed.returncode == 0, listed
    job_id, chunks = working
    head, idle, busy = listed.stdout.splitlines()
    assert head.split() == ["device", "queues", "engine", "job/chunk", "reviews/s", "busy", "up", "models"]
    assert idle.split()[:5] == ["cpu@box", "score+train", "auto", "0.0", "0.0%"]
    assert busy.split()[:3] == ["gpu0@far", "score", "tensorflow"]
    assert busy.split()[3:9] == [f"{job_id}/{chunks[0]}", "+1", "1,234.6", "98.7%", "2", "h"]
    assert max(map(len, (head, idle, busy))) <= columns
    assert busy.split()[9] == "stars@1"


def test_a_document_tells_all_of_it(run: Run, working: tuple[int, list[int]]) -> None:
    idle, busy = json.loads(run("workers", "--json").stdout)
    assert (idle["owner"], idle["chunks"]) == ("box:7", [])
    job_id, chunks = working
    assert busy["chunks"] == [{"job_id": job_id, "chunk_id": chunk_id} for chunk_id in chunks[:2]]
    assert (busy["host"], busy["pid"], busy["device"], busy["queues"]) == ("far", 8, "gpu0@far", ["score"])
    assert (busy["engine"], busy["models"]) == ("tensorflow", [MODEL])
    assert (busy["reviews_per_s"], busy["busy"], busy["version"]) == (1234.56, 0.987, version("reviewmill"))
    assert busy["started_at"] < busy["seen_at"]


def test_a_version_is_told_where_it_is_another(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    register(IDLE, replace(WORKING, version="0.0.9"))
    head, _, old = run("workers").stdout.splitlines()
    assert head.split()[-2:] == ["version", "models"]
    assert "0.0.9" in old.split()


def test_nobody_is_a_sentence_and_an_empty_list(run: Run) -> None:
    nobody = run("workers")
    assert (nobody.returncode, nobody.stdout) == (0, "")
    assert nobody.stderr.strip() == "No worker was heard of for 60 s; start one with: reviewmill worker"
    assert json.loads(run("workers", "--json").stdout) == []
