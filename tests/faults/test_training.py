"""Fine-tuning while machines die: it goes on from its last state, and models appear whole or not at all."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from db.checkpoint import read_checkpoint_facts
from db.errors import CheckpointError
from db.registry import RegisteredModel, list_models
from db.tables import Chunk, TrainingMetric
from db.training import latest_metrics
from tests.faults.conftest import Survived
from tests.faults.team import BERT, Team, stop
from tests.system import Start, wait_until

DYING_SAVER = "tests.faults.dying_saver"


def finetune(team: Team, labelled: Path, epochs: int) -> int:
    """Enqueue a fine-tuning of the small BERT; return the job's id."""
    columns = ("--text", "text", "--label", "label", "--name", "taste", "--base", BERT, "--learning-rate", "0.001")
    result = team.command("finetune", labelled, *columns, "--epochs", epochs, "--no-wait", "--json")
    assert result.returncode == 0, result.stderr
    return int(json.loads(result.stdout)["job_id"])


def saved_step(team: Team) -> int:
    """Wait until a state of the training is saved, and return its step."""
    steps: list[int] = []

    def saved() -> bool:
        found = team.home.glob("models/taste/.job-*.training/attempt-*/step-*.safetensors")
        steps.extend(int(path.stem.removeprefix("step-")) for path in found)
        return bool(steps)

    wait_until(saved)
    return max(steps)


def left_over(models: Path) -> list[str]:
    return sorted(path.name for path in (models / "taste").iterdir())


def curve(team: Team, job_id: int) -> list[int]:
    with team.database.read() as connection:
        steps = select(TrainingMetric.step).where(TrainingMetric.job_id == job_id, TrainingMetric.name == "loss")
        return list(connection.scalars(steps.order_by(TrainingMetric.id)))


def the_version(team: Team, job_id: int, models: Path | None = None) -> RegisteredModel:
    """The one version that the job made, whole in its folder, and nothing beside it."""
    job = team.check_books(job_id)
    assert job.state == "done", job.error
    with team.database.read() as connection:
        (model,) = list_models(connection)
        assert latest_metrics(connection, job_id)["step"] == job.params["steps"]
    assert job.model_id == model.id
    folder = Path(model.path)
    assert left_over(models or folder.parent.parent) == [folder.name]
    if models is None:
        assert read_checkpoint_facts(folder).digest == model.digest
    # A curve that was cut and went on rises without a step back.
    steps = curve(team, job_id)
    assert steps == sorted(set(steps))
    return model


def long_epoch(labelled: Path) -> Path:
    """The same reviews eight times over, each a row of its own: an epoch of 180 steps, some seconds long."""
    path = labelled.with_name("many.jsonl")
    rows = [json.loads(line) for line in labelled.read_text().splitlines()]
    lines = [json.dumps({**row, "text": f"{row['text']} {at}"}) + "\n" for at in range(8) for row in rows]
    path.write_text("".join(lines))
    return path


@pytest.mark.long
def test_a_worker_told_to_stop_saves_where_it_is_and_another_goes_on(
    team: Team, labelled: Path, survived: Survived
) -> None:
    # Within its one epoch, nothing but the order to stop makes it save.
    job_id = finetune(team, long_epoch(labelled), epochs=1)
    worker = team.worker()
    wait_until(lambda: curve(team, job_id))
    asked = time.monotonic()
    said = stop(worker)
    took_s = time.monotonic() - asked
    assert "chunk_given_back" in said
    assert took_s < 15
    total = team.status(job_id).params["steps"]
    step = saved_step(team)
    assert step < total
    assert not team.status(job_id).is_over
    second = team.worker()
    team.wait_for_end(job_id)
    model = the_version(team, job_id)
    assert model.metrics["resumed_from_step"] == step
    assert stop(second).count("training_resumed") == 1
    survived(
        f"SIGTERM at step {step} of {total} of a fine-tuning, then a new worker",
        f"stopped in {took_s:.1f} s; resumed at that very step; one version, no left-over files",
    )


@pytest.mark.long
def test_a_killed_training_goes_on_from_its_last_state(
    team: Team, labelled: Path, survived: Survived, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Within its one epoch, nothing but the clock makes it save.
    monkeypatch.setenv("REVIEWMILL_CHECKPOINT_S", "0.2")
    job_id = finetune(team, long_epoch(labelled), epochs=1)
    worker = team.worker()
    step = saved_step(team)
    (process,) = team.processes()
    os.kill(process, signal.SIGKILL)
    team.wait_for_end(job_id)
    model = the_version(team, job_id)
    total = team.status(job_id).params["steps"]
    assert step <= model.metrics["resumed_from_step"] < total
    assert "worker_died" in stop(worker)
    survived(
        f"kill -9 of the device process after step {step} of {total} of a fine-tuning",
        f"the supervisor's next process resumed at step {model.metrics['resumed_from_step']}; one version",
    )


@pytest.mark.long
def test_training_and_its_death_leave_scoring_on_another_device_alone(
    team: Team, labelled: Path, survived: Survived
) -> None:
    # Of one kind of work each, as on two devices: a process that trains, for minutes, and a process that scores.
    training = finetune(team, long_epoch(labelled), epochs=60)
    trainer = team.worker("--queues", "train")
    wait_until(lambda: curve(team, training))
    (trained_by,) = team.processes()
    scorer = team.worker("--queues", "score")
    scoring = team.enqueue(team.write_long_reviews(120))
    assert team.wait_until_mid_chunk() != trained_by
    os.kill(trained_by, signal.SIGKILL)
    killed_at = curve(team, training)[-1]
    team.wait_for_end(scoring)
    job = team.check_books(scoring)
    assert (job.state, job.scored) == ("done", 120)
    assert (set(team.attempts(scoring)), team.deaths(scoring)) == ({1}, 0)
    assert "worker_died" not in stop(scorer)
    wait_until(lambda: curve(team, training)[-1] > killed_at)
    assert team.deaths(training) == 1
    assert team.command("jobs", "cancel", training).returncode == 0
    assert "worker_died" in stop(trainer)
    survived(
        "a fine-tuning, and kill -9 of it, beside a scoring job on another device process",
        "the scoring job went on through both: one attempt a chunk, no process restarted; the training resumed",
    )


@pytest.mark.long
def test_a_kill_while_a_model_is_saved_leaves_no_version_that_loads(
    team: Team, labelled: Path, start: Start, survived: Survived
) -> None:
    job_id = finetune(team, labelled, epochs=2)
    folder = team.home / "models" / "taste"
    for attempt, point in enumerate(("weights", "config"), start=1):
        assert start(point, module=DYING_SAVER).wait(90) == -signal.SIGKILL
        torn = folder / f".job-{job_id}-{attempt}.partial"
        assert (torn / "model.safetensors").exists()
        with pytest.raises(CheckpointError, match=r"config\.json is missing"):
            read_checkpoint_facts(torn)
        with team.database.read() as connection:
            assert list_models(connection) == []
        assert not list(folder.glob("job-*"))
    worker = team.worker()
    team.wait_for_end(job_id)
    model = the_version(team, job_id)
    # The training itself had ended, and is not done again.
    assert model.metrics["resumed_from_step"] == team.status(job_id).params["steps"]
    stop(worker)
    survived(
        "kill -9 with half of the weights written, and again before config.json",
        "nothing that loads; the third attempt saved without training again, and tidied up",
    )


@pytest.mark.long
def test_a_kill_before_a_saved_model_is_registered_leaves_no_version(
    team: Team, labelled: Path, start: Start, survived: Survived
) -> None:
    job_id = finetune(team, labelled, epochs=2)
    assert start("registry", module=DYING_SAVER).wait(90) == -signal.SIGKILL
    assert f"job-{job_id}-1" in left_over(team.home / "models")
    with team.database.read() as connection:
        assert list_models(connection) == []
    worker = team.worker()
    team.wait_for_end(job_id)
    assert the_version(team, job_id).path.endswith(f"job-{job_id}-2")
    stop(worker)
    survived(
        "kill -9 with the model in its place, before it is registered",
        "the folder nobody knows of is removed; the next attempt's is the one version",
    )


#: What is left of the full disk: half of the small BERT's weights, and less than a state of it.
ROOM_BYTES = 64 * 1024


def on_a_small_disk(models: Path) -> list[str]:
    """What to put before a command so that it, and nothing else, sees a disk of 2 MB at `models`.

    Needs mounts: those of root, or of a user namespace. Where neither is allowed the test is skipped, but in CI,
    where that would hide it for ever, it fails.
    """
    models.mkdir(parents=True, exist_ok=True)
    shell = 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"'
    flags = "-m" if os.geteuid() == 0 else "-rm"
    before = ["unshare", flags, "sh", "-c", shell, str(models)]
    tried = subprocess.run([*before, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no disk can be mounted: {tried.stderr}")
    return before


@pytest.mark.long
def test_a_full_disk_delays_a_model_and_loses_nothing(
    team: Team, labelled: Path, start: Start, survived: Survived
) -> None:
    models = team.home / "models"
    job_id = finetune(team, labelled, epochs=2)
    worker = start("worker", "--devices", "cpu", under=on_a_small_disk(models))
    # The worker's own view of the folder.
    seen = Path(f"/proc/{worker.pid}/root{models}")
    wait_until(lambda: os.path.ismount(seen))
    filling = seen / "filling"
    fill(filling)
    wait_until(lambda: "OSError: [Errno 28] No space left on device" in chunk_error(team, job_id))
    assert not team.status(job_id).is_over
    with team.database.read() as connection:
        assert list_models(connection) == []
    assert not [path for path in seen.rglob("*") if path.is_file() and path != filling]
    filling.unlink()
    team.wait_for_end(job_id)
    model = the_version(team, job_id, seen)
    whole = seen / "taste" / Path(model.path).name
    assert read_checkpoint_facts(whole).digest == model.digest
    said = stop(worker)
    assert "state_not_saved" in said
    survived(
        "a full disk (tmpfs) under the models while states and model are saved",
        "no half model; retried, and done by itself once there was room",
    )


def fill(path: Path) -> None:
    """Write until the disk is full but for a little room."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(path, path.stat().st_size - ROOM_BYTES)


def chunk_error(team: Team, job_id: int) -> str:
    with team.database.read() as connection:
        return connection.scalar(select(Chunk.error).where(Chunk.job_id == job_id)) or ""
