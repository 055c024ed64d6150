"""A model version tells how it does on the examples it was not trained on, and is calibrated on some of them."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from db.checkpoint import SINGLE_LABEL
from db.database import Database
from db.jobs import LabelledReview, NewJob, create_job, job_status
from db.registry import RegisteredModel, get_model
from db.reviews import load_reviews, store_reviews
from producer.enqueue import TrainingPlan
from tests.samples import CHECKPOINTS, SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.training.finetune import finetune

PARAMS = {
    **asdict(TrainingPlan("taste", epochs=15, batch_size=4, learning_rate=5e-3, max_length=16, dropout=0.0)),
    "base": "bert",
    "base_directory": str(CHECKPOINTS / "bert"),
    "problem_type": SINGLE_LABEL,
    "labels": ["bad", "good"],
    "steps": 30,
}
THINGS = ("film", "price", "screen", "a film")
TRAIN = [(f"{word} {thing}", label) for word, label in (("wonderful", "good"), ("terrible", "bad")) for thing in THINGS]
GOOD, BAD = TRAIN[:4], TRAIN[4:]
#: What was learned well comes again, and at the end once with the other label, which the model cannot know.
VALIDATION = [*GOOD[:2], *BAD[:2], ("wonderful screen", "bad")]
TEST = [GOOD[0], BAD[0], ("terrible price", "good")]

Train = Callable[..., RegisteredModel]


@pytest.fixture
def train(context: WorkerContext, database: Database) -> Train:
    """Fine-tune the small BERT on these examples, by split; returns the version it made."""

    def make(splits: Mapping[str, list[tuple[str, str]]], **changed: object) -> RegisteredModel:
        rows = [(text, label, split) for split, examples in splits.items() for text, label in examples]
        with database.write() as connection:
            ids = store_reviews(connection, "file.csv", [SomeReview(str(at), row[0]) for at, row in enumerate(rows)])
            examples = [LabelledReview(id_, label, split) for id_, (_, label, split) in zip(ids, rows, strict=True)]
            new = NewJob("finetune", PARAMS | changed, [ids], examples=examples)
            job_id, (chunk_id,) = create_job(connection, new)
        run_chunk(context, chunk_id, finetune)
        with database.read() as connection:
            job = job_status(connection, job_id)
            assert job.state == "done", job.error
            assert job.model_id is not None
            return get_model(connection, job.model_id)

    return make


def test_the_test_split_is_what_counts(train: Train, database: Database) -> None:
    metrics = train({"train": TRAIN, "validation": VALIDATION, "test": TEST}).metrics
    counts = [metrics[f"{split}_examples"] for split in ("train", "validation", "test")]
    assert counts == [8, 5, 3]
    assert metrics["test_accuracy"] == pytest.approx(2 / 3)
    # F1 is 2/3 for either label: precision 1/2 and recall 1 for bad, 1 and 1/2 for good.
    assert metrics["test_macro_f1"] == pytest.approx(2 / 3)
    assert 0.2 < metrics["test_ece"] < 0.4
    assert "validation_accuracy" not in metrics
    evaluation = metrics["evaluation"]
    assert (evaluation["split"], evaluation["labels"]) == ("test", ["bad", "good"])
    assert evaluation["confusion"] == [[1, 0], [1, 1]]
    (mistake,) = evaluation["mistakes"]
    assert (mistake["right"], mistake["predicted"]) == ("good", "bad")
    with database.read() as connection:
        review = load_reviews(connection, [mistake["review_id"]])[mistake["review_id"]]
    assert (review.external_id, review.text) == ("15", "terrible price")
    assert mistake["probability"] > 0.9


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_a_test_split_the_validation_split_is_told_of(train: Train) -> None:
    metrics = train({"train": TRAIN, "validation": VALIDATION}).metrics
    assert (metrics["validation_examples"], metrics["validation_accuracy"]) == (5, 0.8)
    assert (metrics["evaluation"]["split"], metrics["evaluation"]["confusion"]) == ("validation", [[2, 1], [0, 2]])
    assert not [name for name in metrics if name.startswith("test_")]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_with_nothing_held_out_nothing_is_claimed(train: Train) -> None:
    metrics = train({"train": TRAIN}).metrics
    assert metrics["train_examples"] == len(TRAIN)
    assert not [name for name in metrics if name.startswith(("validation_", "test_", "evaluation"))]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_calibrated_version_is_the_other_one_with_its_last_layer_divided(train: Train) -> None:
    splits = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    plain, calibrated = train(splits), train(splits, calibrate=True)
    temperature = calibrated.metrics["temperature"]
    # Four of five answers are right, and all are sure: the probabilities come down to about 0.8.
    assert temperature > 2
    saved, before = (load_file(Path(one.path) / "model.safetensors") for one in (calibrated, plain))
    for name, value in saved.items():
        divisor = temperature if name.startswith("classifier.") else 1
        np.testing.assert_allclose(value, before[name] / divisor, rtol=1e-5, err_msg=name)
    after = calibrated.metrics
    assert after["test_ece_uncalibrated"] == pytest.approx(plain.metrics["test_ece"], abs=1e-4)
    assert after["test_ece"] < after["test_ece_uncalibrated"]
    assert after["test_accuracy"] == plain.metrics["test_accuracy"]
    assert "temperature" not in plain.metrics


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_model_that_is_right_throughout_keeps_its_probabilities(train: Train) -> None:
    metrics = train({"train": TRAIN, "validation": GOOD + BAD}, calibrate=True).metrics
    assert metrics["validation_accuracy"] == 1.0
    assert metrics["temperature"] == 1.0
    assert metrics["validation_ece"] == metrics["validation_ece_uncalibrated"] < 0.1
