"""A student of a small teacher: what it learns from, that it goes on where it was, and what it is told."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from db.checkpoint import SINGLE_LABEL, read_checkpoint_facts
from db.claims import Claim
from db.database import Database
from db.jobs import JobStatus, LabelledReview, NewJob, create_job, job_status
from db.predictions import Scored, Verdict, store_predictions
from db.registry import RegisteredModel, get_model
from db.reviews import store_reviews
from producer.enqueue import TrainingPlan
from tests.samples import CHECKPOINTS, SomeReview
from worker.batching import collate
from worker.checkpoints.tokenizer import load_tokenizer, tokenize
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.tensorflow import TensorFlowEngine
from worker.lease import Heartbeat
from worker.models import LoadedModels
from worker.probabilities import probabilities
from worker.settings import WorkerSettings
from worker.training.finetune import finetune
from worker.training.teacher import Teacher

LABELS = ["negative", "neutral", "positive"]
TEXTS = ("A wonderful film.", "wonderful", "a wonderful price", "wonderful screen", "terrible", "a terrible film")
PLAN = {
    **asdict(TrainingPlan("student", epochs=3, batch_size=4, learning_rate=1e-3, max_length=16, dropout=0.2)),
    "base": "bert",
    "base_directory": str(CHECKPOINTS / "bert"),
    "labels": LABELS,
    "problem_type": SINGLE_LABEL,
    "steps": 6,
}
Enqueue = Callable[..., tuple[int, int]]


@pytest.fixture
def teacher(add_checkpoint: Callable[..., RegisteredModel], tmp_path: Path) -> RegisteredModel:
    """The small BERT, under a name and in a folder of its own."""
    shutil.copytree(CHECKPOINTS / "bert", tmp_path / "teacher")
    return add_checkpoint("teacher", tmp_path / "teacher")


@pytest.fixture
def enqueue(database: Database, teacher: RegisteredModel) -> Enqueue:
    """A job with a teacher: texts without a label, the last to validate on; returns its id and its chunk's."""

    def make(
        told: Sequence[str | None] = (None,) * len(TEXTS), label_weight: float = 0.5, **changed: object
    ) -> tuple[int, int]:
        lesson = {"reference": teacher.reference, "model_id": teacher.id, "digest": teacher.digest}
        lesson |= {"directory": teacher.path, "temperature": 2.0, "label_weight": label_weight}
        with database.write() as connection:
            ids = store_reviews(connection, "file.csv", [SomeReview(text, text) for text in TEXTS])
            splits = ["train"] * (len(ids) - 1) + ["validation"]
            examples = [LabelledReview(*one) for one in zip(ids, told, splits, strict=True)]
            new = NewJob("finetune", {**PLAN, "teacher": lesson, **changed}, [ids], examples=examples)
            job_id, (chunk_id,) = create_job(connection, new)
        return job_id, chunk_id

    return make


def ended(context: WorkerContext, job_id: int) -> tuple[JobStatus, RegisteredModel]:
    with context.database.read() as connection:
        job = job_status(connection, job_id)
        assert job.state == "done", job.error
        assert job.model_id is not None
        return job, get_model(connection, job.model_id)


def values(directory: Path | str, texts: Sequence[str] = TEXTS) -> np.ndarray:
    """What a checkpoint says of the texts."""
    tokenizer = load_tokenizer(Path(directory))
    batch = collate(tokenize(tokenizer, texts, None, 16), tokenizer.pad_token_id)
    return probabilities(TensorFlowEngine(Path(directory)).logits(batch), SINGLE_LABEL)


def say(
    database: Database,
    model: RegisteredModel,
    job_id: int,
    said: Sequence[float],
    precision: str,
    reading: str = "whole",
) -> None:
    """Let the model have said these probabilities of every text."""
    verdict = Verdict("neutral", max(said), 0.1, dict(zip(LABELS, said, strict=True)), 5, False, precision, reading)
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", [SomeReview(text, text) for text in TEXTS])
        store_predictions(connection, model.id, [Scored(id_, job_id, verdict) for id_ in ids])


def test_without_a_label_it_learns_to_say_what_its_teacher_says(
    context: WorkerContext, enqueue: Enqueue, teacher: RegisteredModel
) -> None:
    # From weights of another kind, so that there is something to learn; without dropout, so that it can be learned.
    base = {"base": "distilbert", "base_directory": str(CHECKPOINTS / "distilbert")}
    job_id, chunk_id = enqueue(**base, epochs=60, steps=120, learning_rate=5e-3, dropout=0.0)
    run_chunk(context, chunk_id, finetune)
    job, model = ended(context, job_id)
    assert model.labels == LABELS
    taught, learned = values(teacher.path)[:5], values(model.path)[:5]
    assert np.abs(learned - taught).mean() < 0.05
    agrees = float(values(model.path)[5].argmax() == values(teacher.path)[5].argmax())
    assert model.metrics["validation_agreement"] == agrees
    assert not {"validation_accuracy", "evaluation"} & set(model.metrics)
    assert (model.metrics["train_examples"], model.metrics["validation_examples"]) == (5, 1)
    assert model.provenance["teacher"] == {"model": "teacher@1", "digest": teacher.digest}
    assert job.params["teacher"]["model_id"] == teacher.id


@pytest.mark.parametrize(("label_weight", "is_learned"), [(0.9, True), (0.0, False)])
def test_labels_count_where_they_are_and_are_what_it_is_measured_on(
    context: WorkerContext, enqueue: Enqueue, teacher: RegisteredModel, label_weight: float, is_learned: bool
) -> None:
    told = ["positive", "positive", None, "positive", "negative", "negative"]
    job_id, chunk_id = enqueue(told, label_weight, epochs=40, steps=80, learning_rate=5e-3, dropout=0.0)
    # The teacher has no idea, so that whatever is learned is of the labels.
    say(context.database, teacher, job_id, [1 / 3, 1 / 3, 1 / 3], "float32")
    run_chunk(context, chunk_id, finetune)
    _, model = ended(context, job_id)
    said = values(model.path)
    assert (said[0, 2] > 0.6 and said[4, 0] > 0.6) == is_learned, said
    assert model.metrics["validation_accuracy"] == float(said[5].argmax() == 0)
    assert "validation_agreement" in model.metrics


def answers(context: WorkerContext, chunk_id: int) -> np.ndarray:
    """What the teacher of a job says of each of the texts."""
    found: list[np.ndarray] = []
    with context.database.write() as connection:
        ids = store_reviews(connection, "file.csv", [SomeReview(text, text) for text in TEXTS])

    def ask(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        teacher = Teacher(context, claims[0], heartbeat.check, context.settings.models_dir / "asked", "")
        found.append(teacher.answers().of(ids))

    run_chunk(context, chunk_id, ask)
    return found[0]


@pytest.mark.parametrize(
    ("precision", "reading", "is_reused"),
    [
        ("float32", "whole", True),
        ("float32", "truncate", True),
        ("float32", "window", False),  # the student reads no windows
        ("int8-dynamic", "whole", False),
    ],
)
def test_what_it_said_before_in_float32_is_reused(
    context: WorkerContext, enqueue: Enqueue, teacher: RegisteredModel, precision: str, reading: str, is_reused: bool
) -> None:
    job_id, chunk_id = enqueue()
    say(context.database, teacher, job_id, [0.2, 0.5, 0.3], precision, reading)
    expected = np.tile(np.float32([0.2, 0.5, 0.3]), (6, 1)) if is_reused else values(teacher.path)
    np.testing.assert_allclose(answers(context, chunk_id), expected, atol=1e-5)


def test_labels_in_another_order_are_the_same_labels(
    context: WorkerContext, enqueue: Enqueue, teacher: RegisteredModel
) -> None:
    chunk_id = enqueue(labels=LABELS[::-1])[1]
    np.testing.assert_allclose(answers(context, chunk_id), values(teacher.path)[:, ::-1], atol=1e-5)


class Interrupted:
    """A real heartbeat, and a look of the training at it at which the worker is asked to stop."""

    def __init__(self, heartbeat: Heartbeat, look: int, stop: Callable[[], None]) -> None:
        self._heartbeat, self._looks_left, self._stop = heartbeat, look, stop

    def check(self) -> None:
        self._looks_left -= 1
        if self._looks_left == 0:
            self._stop()
        self._heartbeat.check()


def run_until(context: WorkerContext, chunk_id: int, look: int) -> None:
    stop = context.stopping.set
    run_chunk(context, chunk_id, lambda *work: finetune(work[0], work[1], Interrupted(work[2], look, stop)))
    context.stopping.clear()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_student_that_is_stopped_twice_goes_on_to_the_very_same_weights(
    context: WorkerContext, enqueue: Enqueue, teacher: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On one core the teacher answers in one batch, wherever the test runs.
    monkeypatch.setattr("os.sched_getaffinity", lambda _process: {0})
    whole, chunk_id = enqueue(layers=1)
    run_chunk(context, chunk_id, finetune)
    stopped, chunk_id = enqueue(layers=1)
    # Looks: two at the teacher's work, one before tokenizing, and one after each step.
    run_until(context, chunk_id, 2 + 1 + 2)
    folder = context.settings.models_dir / "student" / f".job-{stopped}.training"
    assert sorted(path.name for path in folder.rglob("*.safetensors")) == ["step-2.safetensors", "teacher.safetensors"]
    # Whatever the teacher is found to have said since then, and even without its files, it goes on as it began.
    say(context.database, teacher, whole, [0.9, 0.05, 0.05], "float32")
    shutil.rmtree(teacher.path)
    run_until(context, chunk_id, 1 + 3)
    run_chunk(context, chunk_id, finetune)
    made = [ended(context, job_id)[1] for job_id in (whole, stopped)]
    # The same weights are the same version.
    assert made[0].id == made[1].id
    assert not folder.exists()
    # Had it asked anew, other weights would have come of it.
    asked_anew, chunk_id = enqueue(layers=1)
    run_chunk(context, chunk_id, finetune)
    assert ended(context, asked_anew)[1].id != made[0].id


def test_a_student_of_fewer_layers_scores_as_what_it_is(context: WorkerContext, enqueue: Enqueue) -> None:
    job_id, chunk_id = enqueue(layers=1)
    run_chunk(context, chunk_id, finetune)
    _, model = ended(context, job_id)
    assert json.loads((Path(model.path) / "config.json").read_text())["num_hidden_layers"] == 1
    assert read_checkpoint_facts(Path(model.path)).digest == model.digest


def failed(context: WorkerContext, enqueue: Enqueue) -> str:
    job_id, chunk_id = enqueue()
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        job = job_status(connection, job_id)
    assert job.state == "failed"
    assert job.error is not None
    assert "\n" not in job.error
    return job.error


def test_a_teacher_whose_files_are_gone_or_changed_teaches_nothing(
    context: WorkerContext, enqueue: Enqueue, teacher: RegisteredModel
) -> None:
    # Graphs that were built of the right files would go on teaching.
    context.models = LoadedModels(context.database, WorkerSettings(engine="tensorflow"), "cpu@here")
    config = Path(teacher.path) / "config.json"
    config.write_text(config.read_text() + " ")
    assert "the files of teacher@1 in" in (said := failed(context, enqueue))
    assert "are no longer those that were registered" in said
    shutil.rmtree(teacher.path)
    assert "the files of teacher@1 are gone" in failed(context, enqueue)


def test_what_the_null_engine_makes_up_is_not_learned(
    database: Database, context: WorkerContext, enqueue: Enqueue
) -> None:
    settings = WorkerSettings(engine="null", lease_s=4)
    made_up = WorkerContext(database, context.app, settings, LoadedModels(database, settings, "cpu@here"))
    assert failed(made_up, enqueue) == "TrainingError: the null engine cannot teach; set REVIEWMILL_ENGINE to auto"
