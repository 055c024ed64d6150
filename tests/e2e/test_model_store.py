"""Machines that share a database, a Redis and a model store, and no folder: each fetches a model once."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import select

from broker.redis_server import RedisServer
from db.checkpoint import read_checkpoint_facts
from db.database import Database
from db.jobs import JobStatus, job_status
from db.registry import find_model
from db.tables import Chunk
from tests.samples import CHECKPOINTS
from tests.stores import directory_url, s3_server, s3_url
from tests.system import Start, Started, nothing_runs, wait_until

__all__ = ["directory_url", "s3_server", "s3_url"]

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
DIGEST = read_checkpoint_facts(BERT).digest


@pytest.fixture
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    monkeypatch.setenv("REVIEWMILL_MODEL_STORE", url)
    return url


@pytest.fixture
def team(server: RedisServer, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)
    monkeypatch.setenv("REVIEWMILL_CHUNK_SIZE", "100")
    return database


def settings_of(home: Path) -> dict[str, str]:
    """A machine of its own, as far as files go."""
    return {"REVIEWMILL_HOME": str(home), "REVIEWMILL_ENGINES": str(home / "engines")}


def write_reviews(folder: Path, name: str, count: int) -> Path:
    path = folder / f"{name}.csv"
    path.write_text("body\n" + "".join(f"wonderful or terrible number {at} of {name}\n" for at in range(count)))
    return path


def status(database: Database) -> JobStatus:
    """How the first job stands."""
    with database.read() as connection:
        return job_status(connection, 1)


def stop(worker: Started) -> str:
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    return worker.said()


@pytest.mark.parametrize(("store", "database_url"), [("directory", "sqlite"), ("s3", "postgresql")], indirect=True)
def test_workers_on_two_machines_score_with_a_model_that_a_third_added(
    team: Database, store: str, run: Run, start: Start, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(BERT, mine)
    added = run("models", "add", mine, "--name", "stars", "--json")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["path"] == f"store:{DIGEST}"
    # Nobody can read the files but from the store.
    shutil.rmtree(mine)
    homes = [tmp_path / name for name in ("first", "second")]

    def score(name: str, count: int) -> None:
        asked = run("score", write_reviews(tmp_path, name, count), "--text", "body", "--model", "stars", "--json")
        job = json.loads(asked.stdout)
        assert (job["state"], job["scored"], job["failed"]) == ("done", count, 0), asked

    said = []
    for home in homes:
        worker = start("worker", "--devices", "cpu", **settings_of(home))
        score(home.name, 50)
        said.append(stop(worker))
    # Both again, at once: they have their copies.
    workers = [start("worker", "--devices", "cpu", **settings_of(home)) for home in homes]
    score("both", 2_000)
    said += [stop(worker) for worker in workers]
    assert [one.count("model_fetched") for one in said] == [1, 1, 0, 0], said
    for one in said:
        assert "chunk_retry" not in one
        assert "Traceback" not in one
    for home in homes:
        assert read_checkpoint_facts(home / "models-cache" / DIGEST).digest == DIGEST
        wait_until(lambda home=home: nothing_runs(home))


@pytest.mark.parametrize(("store", "database_url"), [("s3", "sqlite")], indirect=True)
def test_a_version_that_one_machine_trains_from_the_store_another_serves(
    team: Database, store: str, run: Run, start: Start, tmp_path: Path
) -> None:
    labelled = tmp_path / "labelled.jsonl"
    rows = [{"text": f"{word} number {at}", "label": word} for at in range(40) for word in ("wonderful", "terrible")]
    labelled.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mine = tmp_path / "mine"
    shutil.copytree(BERT, mine)
    asked = run(
        "finetune", labelled, "--text", "text", "--label", "label", "--name", "taste", "--base", mine, "--no-wait"
    )
    assert asked.returncode == 0, asked.stderr
    shutil.rmtree(mine)
    trainer, server = tmp_path / "trainer", tmp_path / "server"
    worker = start("worker", "--devices", "cpu", "--queues", "train", **settings_of(trainer))
    # TensorFlow alone may take minutes on a machine that has other work.
    wait_until(lambda: status(team).is_over, 900)
    assert status(team).state == "done", worker.said()
    stop(worker)
    with team.read() as connection:
        model = find_model(connection, "taste")
    assert model.path == f"store:{model.digest}"
    # What the machine made it of is tidied away, and nothing of it is needed.
    assert list((trainer / "models" / "taste").iterdir()) == []
    shutil.rmtree(trainer)
    scorer = start("worker", "--devices", "cpu", "--queues", "score", **settings_of(server))
    scored = json.loads(run("score", labelled, "--text", "text", "--model", "taste", "--json").stdout)
    stop(scorer)
    assert (scored["state"], scored["scored"]) == ("done", 80)
    # The command line finds the version too, on a machine that has never had it.
    told = run("models", "export", "taste", "copy")
    assert told.returncode == 0, told.stderr
    assert read_checkpoint_facts(tmp_path / "copy").digest == model.digest
    assert (Path(os.environ["REVIEWMILL_HOME"]) / "models-cache" / model.digest).is_dir()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_store_that_is_away_delays_a_job_and_fails_nothing(
    team: Database, directory_url: str, run: Run, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_MODEL_STORE", directory_url)
    reviews = tmp_path / "reviews.csv"
    reviews.write_text("body\nwonderful\nterrible\n")
    assert run("score", reviews, "--text", "body", "--model", BERT, "--no-wait").returncode == 0
    # As a share is that is not mounted.
    away = Path(f"{directory_url}-away")
    Path(directory_url).rename(away)
    worker = start("worker", "--devices", "cpu", **settings_of(tmp_path / "elsewhere"))
    wait_until(lambda: worker.said().count("chunk_put_off") >= 2, 300)
    away.rename(directory_url)
    wait_until(lambda: status(team).is_over, 300)
    stop(worker)
    job = status(team)
    assert (job.state, job.scored, job.failed) == ("done", 2, 0)
    with team.read() as connection:
        assert list(connection.scalars(select(Chunk.errors))) == [0]
