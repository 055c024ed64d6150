"""Fine-tuning a small checkpoint: it learns, and its version can be scored with at once."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import transformers
from safetensors.numpy import load_file
from sqlalchemy import select, update

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL, read_checkpoint_facts
from db.claims import Claim
from db.database import Database
from db.errors import DatabaseUnreachable, LeaseLost
from db.jobs import LabelledReview, NewJob, cancel_job, create_job, job_status
from db.promotion import compete
from db.registry import find_model, get_model, list_models
from db.reviews import store_reviews
from db.tables import Example, Prediction, Review, TrainingMetric
from db.training import latest_metrics, store_metrics
from producer.enqueue import TrainingPlan
from tests.samples import CHECKPOINTS, SomeReview
from worker.backend import keras, tf
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.errors import TrainingError
from worker.lease import Heartbeat
from worker.scoring import score_chunks
from worker.training.batches import epoch_order
from worker.training.finetune import finetune
from worker.training.learning_rate import WarmUpThenDecay
from worker.training.out_of_memory import saying_what_to_lower

GOOD = ("A wonderful film.", "wonderful", "a wonderful price", "wonderful screen")
BAD = ("terrible", "a terrible film", "terrible price", "the screen is terrible")
PLAN = {
    **asdict(TrainingPlan("taste", epochs=30, batch_size=4, learning_rate=5e-3, max_length=16)),
    "base": "bert",
    "problem_type": SINGLE_LABEL,
}


@pytest.fixture
def make_job(database: Database) -> Callable[..., tuple[int, int]]:
    """A fine-tuning job of eight short texts, the first of them held out; returns its id and its chunk's."""

    def make(good: str = "good", bad: str = "bad", held_out: str | None = None, **changed: object) -> tuple[int, int]:
        base = str(CHECKPOINTS / "bert")
        params = {**PLAN, "labels": ["bad", "good"], "base_directory": base, "steps": 60, **changed}
        reviews = [SomeReview(text, text) for text in GOOD + BAD]
        with database.write() as connection:
            ids = store_reviews(connection, "file.csv", reviews)
            labels = [good] * len(GOOD) + [bad] * len(BAD)
            examples = [LabelledReview(id_, label, "train") for id_, label in zip(ids, labels, strict=True)]
            examples[0] = examples[0]._replace(split="validation", label=held_out or good)
            job_id, (chunk_id,) = create_job(connection, NewJob("finetune", params, [ids], examples=examples))
        return job_id, chunk_id

    return make


def test_it_learns_and_is_registered_whole(context: WorkerContext, make_job: Callable[..., tuple[int, int]]) -> None:
    # Without dropout it learns as well in float32 as in bfloat16, whichever this processor has.
    job_id, chunk_id = make_job(dropout=0.0)
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        job = job_status(connection, job_id)
        assert job.state == "done", job.error
        assert job.model_id is not None
        model = get_model(connection, job.model_id)
        assert find_model(connection, "taste") == model
        curve = latest_metrics(connection, job_id)
    assert (model.reference, model.labels, model.base, model.kind) == ("taste@1", ["bad", "good"], "bert", "finetuned")
    assert (curve["step"], curve["epoch"]) == (60, 30)
    assert curve["loss"] < 0.5
    assert (model.metrics["train_examples"], model.metrics["validation_accuracy"]) == (7, 1.0)
    assert [path.name for path in Path(model.path).parent.iterdir()] == [f"job-{job_id}-1"]


def values_of(context: WorkerContext, make_chunk: Callable[..., int], *texts: str) -> tuple[str, list[dict]]:
    """Score texts with the version that was made; return its problem type, and what it says of each."""
    with context.database.read() as connection:
        model = find_model(connection, "taste")
    run_chunk(context, make_chunk(model.id, [SomeReview(text, text) for text in texts], "new.csv"), score_chunks)
    with context.database.read() as connection:
        said = select(Prediction.probabilities).join(Review, Review.id == Prediction.review_id)
        by_text = {text: connection.scalar(said.where(Review.external_id == text)) for text in texts}
    return model.problem_type, [by_text[text] for text in texts]


def test_a_multi_label_model_tells_each_label_by_itself(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]], make_chunk: Callable[..., int]
) -> None:
    several = {"labels": ["film", "liked", "seen"], "problem_type": MULTI_LABEL, "dropout": 0.0}
    job_id, chunk_id = make_job(good="liked|seen", bad="seen", **several)
    with context.database.write() as connection:
        tested = select(Review.id).where(Review.external_id == BAD[3]).scalar_subquery()
        connection.execute(update(Example).where(Example.review_id == tested).values(split="test"))
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        job, metrics = job_status(connection, job_id), latest_metrics(connection, job_id)
        assert job.state == "done", job.error
        made = find_model(connection, "taste").metrics
    assert {"loss", "binary_accuracy"} < set(metrics)
    assert metrics["binary_accuracy"] > 0.8
    assert (made["train_examples"], made["validation_examples"], made["test_examples"]) == (6, 1, 1)
    problem_type, said = values_of(context, make_chunk, GOOD[1], BAD[0], GOOD[0], BAD[3])
    assert problem_type == MULTI_LABEL
    good, bad, _, test = ({label for label, chance in one.items() if chance >= 0.5} for one in said)
    assert (good, bad) == ({"liked", "seen"}, {"seen"})
    # Where there is a test split, it alone is told of.
    assert "validation_accuracy" not in made
    assert made["test_accuracy"] == float(test == {"seen"})


def test_a_regression_tells_a_number(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]], make_chunk: Callable[..., int]
) -> None:
    regression = {"labels": ["mark"], "problem_type": REGRESSION, "dropout": 0.0, "epochs": 60, "steps": 120}
    run_chunk(context, make_job("2.0", "-1.5", **regression)[1], finetune)
    with context.database.read() as connection:
        assert job_status(connection, 1).error is None
        made, metrics = find_model(connection, "taste").metrics, latest_metrics(connection, 1)
    assert {"loss", "mae", "val_loss", "val_mae"} < set(metrics)
    problem_type, (good, bad, held_out) = values_of(context, make_chunk, GOOD[1], BAD[0], GOOD[0])
    assert problem_type == REGRESSION
    assert (good["mark"], bad["mark"]) == (pytest.approx(2.0, abs=0.7), pytest.approx(-1.5, abs=0.7))
    assert made["validation_mae"] == pytest.approx(abs(held_out["mark"] - 2.0), abs=1e-4)
    assert "validation_accuracy" not in made


def test_without_examples_held_out_nothing_is_measured(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    job_id, chunk_id = make_job(epochs=1, steps=2)
    with context.database.write() as connection:
        connection.execute(update(Example).values(split="train"))
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        assert job_status(connection, job_id).state == "done"
        metrics = find_model(connection, "taste").metrics
    assert set(metrics) == {"train_examples", "training_precision", "training_seconds"}


def test_its_version_tells_how_it_was_made(context: WorkerContext, make_job: Callable[..., tuple[int, int]]) -> None:
    job_id, chunk_id = make_job(epochs=1, steps=2)
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        told = find_model(connection, "taste").provenance
        params = job_status(connection, job_id).params
    assert told["base_digest"] == read_checkpoint_facts(CHECKPOINTS / "bert").digest
    assert (told["job"], told["base"], told["parameters"], told["device"]) == (job_id, "bert", params, "cpu@here")
    assert {name: split["examples"] for name, split in told["data"]["splits"].items()} == {"train": 7, "validation": 1}
    for library in (keras, tf, transformers):
        assert told["libraries"][library.__name__] == library.__version__
    assert 0 < told["seconds"] < 300


def test_its_version_scores_at_once(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]], make_chunk: Callable[..., int]
) -> None:
    run_chunk(context, make_job()[1], finetune)
    with context.database.read() as connection:
        model = find_model(connection, "taste")
    scoring = make_chunk(model.id, [SomeReview("new", "what a wonderful film.")])
    run_chunk(context, scoring, score_chunks)
    with context.database.read() as connection:
        assert job_status(connection, 2).state == "done"


def test_the_same_seed_gives_the_same_model(context: WorkerContext, make_job: Callable[..., tuple[int, int]]) -> None:
    for seed in (1, 1, 2):
        run_chunk(context, make_job(seed=seed, epochs=1, steps=2)[1], finetune)
    with context.database.read() as connection:
        jobs = [job_status(connection, job_id) for job_id in (1, 2, 3)]
        models = list_models(connection)
    # The same weights are the same version; another seed makes another.
    assert [job.model_id for job in jobs] == [models[0].id, models[0].id, models[1].id]
    # Both were measured on the same examples, so that one can be told to be worse.
    contest = compete(*models)
    assert contest is not None
    assert contest.metric == "validation_accuracy"


def test_it_multiplies_in_the_format_that_suits_the_device(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in ("float32", "bfloat16"):
        monkeypatch.setattr("worker.training.finetune.format_of_products", lambda form=form: form)
        run_chunk(context, make_job(epochs=1, steps=2)[1], finetune)
    with context.database.read() as connection:
        models = list_models(connection)
    assert [model.metrics["training_precision"] for model in models] == ["float32", "bfloat16"]
    exact, rounded = (load_file(Path(model.path) / "model.safetensors") for model in models)
    apart = max(float(np.abs(exact[name] - rounded[name]).max()) for name in exact)
    # Rounded indeed, and yet the same training.
    assert 1e-6 < apart < 4 * PLAN["learning_rate"]


def test_a_base_that_is_gone_fails_with_its_reason(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    job_id, chunk_id = make_job(base_directory="/nowhere")
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        job = job_status(connection, job_id)
    assert job.state == "failed"
    assert job.error == "ModelMissing: the files of the base bert are gone: /nowhere is not a folder on this machine"


def test_out_of_memory_fails_at_once_and_says_what_to_lower(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    job_id, chunk_id = make_job(epochs=2, steps=4)
    # The error is TensorFlow's own, out of the midst of fit: an exabyte is really asked for.
    run_until(context, chunk_id, look_after(3), lambda: tf.zeros([2**58]))
    with context.database.read() as connection:
        job = job_status(connection, job_id)
        assert list_models(connection) == []
    assert (job.state, job.error) == (
        "failed",
        "TrainingError: memory ran out in training; lower --batch-size (it is 4) and make up for it with --accumulate, "
        "as with --batch-size 2 --accumulate 2, or lower --max-length (it is 16)",
    )
    # The process goes on to other work, and tidies up.
    job_id, chunk_id = make_job(epochs=1, steps=2)
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        assert job_status(connection, job_id).state == "done"
    assert left_over(context) == [f"job-{job_id}-1"]


@pytest.mark.parametrize(
    ("error", "params", "said"),
    [
        (
            MemoryError(),
            {"batch_size": 1, "max_length": None},
            r"; lower --max-length \(it is the limit of the model\)$",
        ),
        (RuntimeError("std::bad_alloc"), {"accumulate": 3}, "as with --batch-size 2 --accumulate 6"),
    ],
)
def test_what_can_be_lowered_depends_on_the_training(error: Exception, params: dict[str, object], said: str) -> None:
    with pytest.raises(TrainingError, match=said), saying_what_to_lower(PLAN | params):
        raise error


@pytest.mark.parametrize("error", [ValueError("a bug"), DatabaseUnreachable("out of memory"), OSError(28, "full")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)), saying_what_to_lower(PLAN):
        raise error


def test_cancelled_training_leaves_no_version(context: WorkerContext, make_job: Callable[..., tuple[int, int]]) -> None:
    job_id, chunk_id = make_job(epochs=1, steps=2)
    ended: list[Exception] = []

    def cancelled(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        with context.database.write() as connection:
            cancel_job(connection, job_id)
        try:
            finetune(context, claims, heartbeat)
        except LeaseLost as error:
            ended.append(error)

    run_chunk(context, chunk_id, cancelled)
    assert ended
    with context.database.read() as connection:
        assert list_models(connection) == []
        assert job_status(connection, job_id).state == "cancelled"
    assert list(context.settings.models_dir.glob("*/*")) == []


class Interrupted:
    """A real heartbeat, and a look at which something happens: an order to stop, or an error."""

    def __init__(self, heartbeat: Heartbeat, look: int, happen: Callable[[], None]) -> None:
        self._heartbeat, self._looks_left, self._happen = heartbeat, look, happen

    def check(self) -> None:
        self._looks_left -= 1
        if self._looks_left == 0:
            self._happen()
        self._heartbeat.check()


def run_until(context: WorkerContext, chunk_id: int, look: int, happen: Callable[[], None]) -> None:
    """Fine-tune until that look of the training at its heartbeat; see `look_after`."""
    run_chunk(context, chunk_id, lambda *work: finetune(work[0], work[1], Interrupted(work[2], look, happen)))


def curve_steps(context: WorkerContext, job_id: int) -> set[int]:
    with context.database.read() as connection:
        return set(connection.scalars(select(TrainingMetric.step).where(TrainingMetric.job_id == job_id)))


def validated(context: WorkerContext, job_id: int) -> list[tuple[int, int, str, float]]:
    """Epoch, step, name and value of what was measured at the epochs' ends."""
    points = select(TrainingMetric.epoch, TrainingMetric.step, TrainingMetric.name, TrainingMetric.value)
    points = points.where(TrainingMetric.job_id == job_id, TrainingMetric.name.startswith("val_"))
    with context.database.read() as connection:
        return [tuple(row) for row in connection.execute(points.order_by(TrainingMetric.step, TrainingMetric.name))]


def state_tensors(context: WorkerContext, job_id: int) -> set[str]:
    (path,) = (context.settings.models_dir / "taste" / f".job-{job_id}.training").rglob("*.safetensors")
    return set(load_file(path))


def states_of(context: WorkerContext, job_id: int) -> list[str]:
    folder = context.settings.models_dir / "taste" / f".job-{job_id}.training"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def left_over(context: WorkerContext) -> list[str]:
    return sorted(path.name for path in context.settings.models_dir.glob("*/*"))


def test_a_frozen_encoder_is_saved_bit_for_bit_as_it_came(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    job_id, chunk_id = make_job(epochs=2, steps=4, freeze=True)
    held: list[set[str]] = []
    run_until(context, chunk_id, look_after(4), lambda: held.append(state_tensors(context, job_id)))
    with context.database.read() as connection:
        assert job_status(connection, job_id).state == "done"
        made = load_file(Path(find_model(connection, "taste").path) / "model.safetensors")
    base = load_file(CHECKPOINTS / "bert" / "model.safetensors")
    assert {name for name in base if not np.array_equal(made[name], base[name])} == {
        "classifier.weight",
        "classifier.bias",
    }
    # A state need not hold what the base holds: beside the random states and the optimizer's, just the head.
    weights = [name for name in held[0] if name.startswith("model.")]
    assert 2 < len(weights) < len(base) / 2


def look_after(step: int, first: int = 0) -> int:
    """The look after a step of a run from `first`, with two steps an epoch.

    Two come before, each before a split is tokenized, and one before the one batch of each validation.
    """
    return 2 + step - first + (step - 1) // 2 - max(0, (first - 1) // 2)


#: Six steps in three epochs; dropout and shuffling are active, so that every random state counts.
SHORT = {"epochs": 3, "steps": 6, "dropout": 0.2}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"class_weights": "balanced", "batch_size": 2, "accumulate": 2},
        {"freeze": True},
        {"lora_rank": 2},
        {"early_stopping": "loss", "patience": 3, "held_out": "bad"},
        {"early_stopping": "loss", "patience": 3, "lora_rank": 2},
    ],
    ids=lambda options: " ".join(options),
)
def test_a_training_that_is_stopped_twice_goes_on_to_the_very_same_weights(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]], options: dict[str, object]
) -> None:
    whole, chunk_id = make_job(**SHORT, **options)
    run_chunk(context, chunk_id, finetune)
    stopped, chunk_id = make_job(**SHORT, **options)
    # Within the second epoch, and then, three steps later, before the first batch of the evaluation.
    run_until(context, chunk_id, look_after(3), context.stopping.set)
    assert left_over(context) == [f".job-{stopped}.training", f"job-{whole}-1"]
    assert states_of(context, stopped) == ["attempt-1/step-3.safetensors"]
    with context.database.write() as connection:
        store_metrics(connection, stopped, 3, 50, {"loss": 9.9})
    context.stopping.clear()
    run_until(context, chunk_id, look_after(6, first=3) + 4, context.stopping.set)
    assert left_over(context) == [f".job-{stopped}.training", f"job-{whole}-1"]
    assert states_of(context, stopped) == ["attempt-2/step-6.safetensors"]
    context.stopping.clear()
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        jobs = [job_status(connection, job_id) for job_id in (whole, stopped)]
    assert [job.state for job in jobs] == ["done", "done"], jobs[1].error
    # The same weights are the same version.
    assert jobs[0].model_id == jobs[1].model_id
    # Points up to the step it went on from are kept, and those beyond dropped.
    assert {1, 2, 4, 6} <= curve_steps(context, stopped) <= {1, 2, 3, 4, 5, 6}
    assert validated(context, stopped) == validated(context, whole)
    assert left_over(context) == [f"job-{whole}-1"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_stop_while_an_epoch_is_validated_loses_no_step(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    whole, chunk_id = make_job(**SHORT)
    run_chunk(context, chunk_id, finetune)
    stopped, chunk_id = make_job(**SHORT)
    run_until(context, chunk_id, look_after(4) + 1, context.stopping.set)
    assert states_of(context, stopped) == ["attempt-1/step-4.safetensors"]
    assert [step for _, step, *_ in validated(context, stopped)] == [2, 2, 2]
    context.stopping.clear()
    run_chunk(context, chunk_id, finetune)
    assert validated(context, stopped) == validated(context, whole)
    with context.database.read() as connection:
        assert job_status(connection, whole).model_id == job_status(connection, stopped).model_id


#: The one example to validate on has the wrong label: the more is learned, the worse it looks.
MISLED = {"epochs": 6, "steps": 12, "dropout": 0.0, "held_out": "bad", "early_stopping": "loss", "patience": 2}


def test_training_stops_early_and_keeps_the_best_epoch(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]], make_chunk: Callable[..., int]
) -> None:
    job_id, chunk_id = make_job(**MISLED)
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        assert job_status(connection, job_id).state == "done"
        metrics = find_model(connection, "taste").metrics
    losses = [value for _, _, name, value in validated(context, job_id) if name == "val_loss"]
    kept, trained = metrics["kept_epoch"], metrics["trained_epochs"]
    assert kept == 1 + int(np.argmin(losses)) < trained == kept + 2 == len(losses) < 6
    # What was saved says what the best epoch said, and not what the last one did.
    _, (said,) = values_of(context, make_chunk, GOOD[0])
    assert -np.log(said["bad"]) == pytest.approx(losses[kept - 1], rel=0.05)
    assert losses[-1] > losses[kept - 1] * 1.2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_training_that_stopped_early_is_not_taken_up_again(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    whole, chunk_id = make_job(**MISLED)
    run_chunk(context, chunk_id, finetune)
    last = validated(context, whole)[-1][1]
    stopped, chunk_id = make_job(**MISLED)
    # Behind the last validation: before the model is saved.
    run_until(context, chunk_id, look_after(last) + 2, context.stopping.set)
    assert states_of(context, stopped) == [f"attempt-1/step-{last}.safetensors"]
    context.stopping.clear()
    run_chunk(context, chunk_id, finetune)
    assert max(curve_steps(context, stopped)) == last
    assert validated(context, stopped) == validated(context, whole)
    with context.database.read() as connection:
        assert job_status(connection, whole).model_id == job_status(connection, stopped).model_id


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_version_tells_where_its_training_went_on(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    job_id, chunk_id = make_job(**SHORT)
    run_until(context, chunk_id, look_after(5), context.stopping.set)
    context.stopping.clear()
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        model = find_model(connection, "taste")
    assert model.metrics["resumed_from_step"] == 5
    assert model.path.endswith(f"/job-{job_id}-2")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_lost_lease_saves_no_state_beyond_the_last_epoch(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    def lose() -> None:
        raise LeaseLost("the lease was lost")

    job_id, chunk_id = make_job(**SHORT)
    run_until(context, chunk_id, look_after(5), lose)
    assert states_of(context, job_id) == ["attempt-1/step-4.safetensors"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_state_is_saved_within_an_epoch_when_it_is_time(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    job_id, chunk_id = make_job(**SHORT)
    context.settings.checkpoint_s = 0.001
    seen: list[str] = []
    run_until(context, chunk_id, look_after(4), lambda: seen.extend(states_of(context, job_id)))
    assert seen == ["attempt-1/step-3.safetensors"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_state_that_cannot_be_saved_does_not_end_the_training(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    job_id, chunk_id = make_job(**SHORT)
    states = context.settings.models_dir / "taste" / f".job-{job_id}.training"
    states.parent.mkdir(parents=True)
    states.touch()  # no folder can be made there
    run_until(context, chunk_id, look_after(3), context.stopping.set)
    with context.database.read() as connection:
        assert job_status(connection, job_id).state == "running"
    context.stopping.clear()
    run_chunk(context, chunk_id, finetune)
    with context.database.read() as connection:
        assert job_status(connection, job_id).state == "done"
        assert "resumed_from_step" not in find_model(connection, "taste").metrics


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_next_training_of_a_name_tidies_up_after_jobs_that_are_over(
    context: WorkerContext, make_job: Callable[..., tuple[int, int]]
) -> None:
    # The one that is to be trained first: it has waited longest, so that its turn comes.
    finished = make_job(**SHORT)
    going, cancelled = (make_job(**SHORT)[0] for _ in range(2))
    with context.database.write() as connection:
        cancel_job(connection, cancelled)
    folder = context.settings.models_dir / "taste"
    names = {f".job-{job}-1.partial" for job in (going, cancelled, 99)}
    names |= {f".job-{job}.training" for job in (going, cancelled, 99)}
    names |= {f"job-{job}-1" for job in (going, cancelled, 99)} | {"mine", ".job-x.training"}
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch()
    run_chunk(context, finished[1], finetune)
    gone = {f"job-{cancelled}-1", f".job-{cancelled}-1.partial", f".job-{cancelled}.training"}
    assert set(left_over(context)) == names - gone | {f"job-{finished[0]}-1"}


def test_an_epoch_holds_every_example_once_and_neighbours_in_length() -> None:
    lengths = [int(length) for length in np.random.default_rng(0).integers(1, 500, 1_003)]
    batches = epoch_order(lengths, 16, np.random.default_rng(1))
    assert sorted(index for batch in batches for index in batch) == list(range(1_003))
    assert {len(batch) for batch in batches} <= {16, 1_003 - 1_003 // 16 * 16, 3}
    spread = [np.ptp([lengths[index] for index in batch]) for batch in batches]
    assert np.mean(spread) < 25
    other = epoch_order(lengths, 16, np.random.default_rng(2))
    assert [list(batch) for batch in other] != [list(batch) for batch in batches]


def test_the_rate_rises_then_falls_to_nearly_nothing() -> None:
    schedule = WarmUpThenDecay(1e-3, 100, 0.1)
    rates = [float(schedule(step)) for step in range(100)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) == 9
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 2e-5
