"""Examples and curves of fine-tuning jobs."""

import pytest

from db.database import Database
from db.jobs import LabelledReview, NewJob, create_job
from db.labels import MAX_LABEL_CHARS
from db.registry import RegisteredModel
from db.reviews import store_reviews
from db.training import (
    CurvePoint,
    count_examples,
    example_ids,
    find_training,
    forget_metrics,
    latest_metrics,
    load_curve,
    load_examples,
    set_trained_model,
    store_metrics,
    trainings_over,
)
from tests.samples import SomeReview


def test_examples_come_back_by_split(database: Database) -> None:
    reviews = [SomeReview(str(number), f"text {number}", f"pair {number}") for number in range(4)]
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", reviews)
        splits = ("train", "validation", "train", "test")
        examples = [LabelledReview(id_, f"label {id_}", split) for id_, split in zip(ids, splits, strict=True)]
        job_id, _ = create_job(connection, NewJob("finetune", {}, [ids], examples=examples))
        train = load_examples(connection, job_id, "train")
        held_out = load_examples(connection, job_id, "validation")
        test = load_examples(connection, job_id, "test")
        counts = count_examples(connection, job_id)
    assert [(one.text, one.pair, one.label) for one in train] == [
        ("text 0", "pair 0", f"label {ids[0]}"),
        ("text 2", "pair 2", f"label {ids[2]}"),
    ]
    assert [[(one.review_id, one.text) for one in split] for split in (held_out, test)] == [
        [(ids[1], "text 1")],
        [(ids[3], "text 3")],
    ]
    assert counts == {"train": 2, "validation": 1, "test": 1}


@pytest.mark.parametrize("label", ["", "price|quality", repr(0.1), "é" * MAX_LABEL_CHARS])
def test_a_label_of_any_kind_comes_back(database: Database, label: str) -> None:
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", [SomeReview("1", "good")])
        new = NewJob("finetune", {}, [ids], examples=[LabelledReview(ids[0], label, "train")])
        (example,) = load_examples(connection, create_job(connection, new)[0], "train")
    assert example.label == label


def test_an_example_may_have_no_label_which_is_not_an_empty_one(database: Database) -> None:
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", [SomeReview(str(number), f"text {number}") for number in range(4)])
        told = zip(ids, ("good", None, "", None), ("train", "train", "train", "test"), strict=True)
        new = NewJob("finetune", {}, [[*ids, *ids]], examples=[LabelledReview(*one) for one in told])
        job_id, _ = create_job(connection, new)
        assert [one.label for one in load_examples(connection, job_id, "train")] == ["good", None, ""]
        assert count_examples(connection, job_id) == {"train": 3, "test": 1}
        assert count_examples(connection, job_id, labelled=True) == {"train": 2}
        assert example_ids(connection, job_id) == sorted(ids)


def test_the_curve_tells_its_newest_point(database: Database) -> None:
    with database.write() as connection:
        job_id, _ = create_job(connection, NewJob("finetune", {}, [[]]))
        assert latest_metrics(connection, job_id) == {}
        store_metrics(connection, job_id, 1, 5, {"loss": 0.7, "accuracy": 0.5})
        store_metrics(connection, job_id, 2, 9, {"loss": 0.4})
        assert latest_metrics(connection, job_id) == {"loss": 0.4, "accuracy": 0.5, "step": 9, "epoch": 2}
        assert load_curve(connection, job_id) == [
            CurvePoint(5, "loss", 0.7),
            CurvePoint(5, "accuracy", 0.5),
            CurvePoint(9, "loss", 0.4),
        ]
        forget_metrics(connection, job_id, 5)
        assert latest_metrics(connection, job_id) == {"loss": 0.7, "accuracy": 0.5, "step": 5, "epoch": 1}
        # The epoch that ends there is validated again.
        store_metrics(connection, job_id, 1, 4, {"val_loss": 0.9})
        store_metrics(connection, job_id, 1, 5, {"val_loss": 0.8, "valley": 0.1})
        forget_metrics(connection, job_id, 5)
        kept = [(point.step, point.name) for point in load_curve(connection, job_id)]
        assert kept == [(4, "val_loss"), (5, "loss"), (5, "accuracy"), (5, "valley")]
        forget_metrics(connection, job_id, 0)
        assert latest_metrics(connection, job_id) == {}


def test_trainings_that_are_over_are_told_by_their_name(database: Database) -> None:
    with database.write() as connection:
        over, other, going, scoring = (
            create_job(connection, NewJob(kind, {"name": name}, chunks))[0]
            for kind, name, chunks in (
                ("finetune", "taste", []),
                ("finetune", "smell", []),
                ("finetune", "taste", [[1]]),
                ("score", "taste", []),
            )
        )
        assert trainings_over(connection, "taste", [over, other, going, scoring, 99]) == {over}


def test_a_version_tells_the_training_that_made_it(database: Database, model: RegisteredModel) -> None:
    with database.write() as connection:
        assert find_training(connection, model.id) is None
        create_job(connection, NewJob("score", {}, [[]], model_id=model.id))
        jobs = [create_job(connection, NewJob("finetune", {}, [[]]))[0] for _ in range(3)]
        # The second came to the same weights; the third is of another model, or still going.
        for job_id in (jobs[1], jobs[0]):
            set_trained_model(connection, job_id, model.id)
        assert find_training(connection, model.id) == jobs[0]
