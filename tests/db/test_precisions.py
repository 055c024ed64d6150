"""Decisions on precision, and what they are taken on, on both databases."""

from collections.abc import Callable

from db.database import Database
from db.jobs import LabelledReview, create_job
from db.jobs import NewJob as NewTraining
from db.precisions import examples_of_model, find_precision, precisions_of, remember_precision, sample_texts
from db.registry import RegisteredModel
from db.reviews import store_reviews
from db.training import set_trained_model
from tests.samples import SomeReview

NewJob = Callable[..., tuple[int, list[int]]]


def remember(database: Database, source: str, chosen: str, build: str = "one", asked: str = "auto") -> None:
    rungs = [{"precision": chosen, "refused": None, "figures": {"mean_drift": 0.0125}}]
    with database.write() as connection:
        remember_precision(connection, 1, "cpu@host", source, asked=asked, build=build, chosen=chosen, rungs=rungs)


def test_a_decision_is_found_under_all_that_it_was_taken_for(database: Database, new_job: NewJob) -> None:
    new_job()
    remember(database, "a.csv", "int8")
    with database.read() as connection:
        found = find_precision(connection, 1, "cpu@host", "a.csv", "auto", "one")
        assert found is not None
        assert (found.chosen, found.rungs[0]["figures"]) == ("int8", {"mean_drift": 0.0125})
        for other in (
            (2, "cpu@host", "a.csv", "auto", "one"),
            (1, "cpu@other", "a.csv", "auto", "one"),
            (1, "cpu@host", "b.csv", "auto", "one"),
            (1, "cpu@host", "a.csv", "int8", "one"),
            (1, "cpu@host", "a.csv", "auto", "two"),
        ):
            assert find_precision(connection, *other) is None


def test_the_newest_decision_stands_and_others_stand_beside_it(database: Database, new_job: NewJob) -> None:
    new_job()
    remember(database, "a.csv", "int8")
    remember(database, "a.csv", "float32", build="two")
    remember(database, "b.csv", "bfloat16")
    remember(database, "a.csv", "int8", asked="int8")
    with database.read() as connection:
        every = [(one.source, one.asked, one.chosen, one.build) for one in precisions_of(connection, 1)]
        of_a = {(one.asked, one.chosen) for one in precisions_of(connection, 1, "a.csv")}
    assert sorted(every) == [
        ("a.csv", "auto", "float32", "two"),
        ("a.csv", "int8", "int8", "one"),
        ("b.csv", "auto", "bfloat16", "one"),
    ]
    assert of_a == {("auto", "float32"), ("int8", "int8")}


def test_texts_of_a_model_are_had_with_their_labels_or_without(database: Database, model: RegisteredModel) -> None:
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", [SomeReview(str(number), f"text {number}") for number in range(3)])
        told = zip(ids, ("good", None, "bad"), ("train", "train", "validation"), strict=True)
        new = NewTraining("finetune", {}, [ids], examples=[LabelledReview(*one) for one in told])
        set_trained_model(connection, create_job(connection, new)[0], model.id)
        every = examples_of_model(connection, model.id, "train", 9)
        labelled = examples_of_model(connection, model.id, "train", 9, labelled=True)
        few = examples_of_model(connection, model.id, "train", 1)
    assert sorted(every) == [("text 0", None, "good"), ("text 1", None, "")]
    assert labelled == [("text 0", None, "good")]
    assert len(few) == 1


def test_a_sample_is_of_different_texts_of_that_job(database: Database, new_job: NewJob) -> None:
    job_id, _ = new_job(chunks=5)
    with database.read() as connection:
        every = sample_texts(connection, job_id, 100)
        few = sample_texts(connection, job_id, 3)
    assert len(set(every)) == len(every) == 10
    assert len(few) == 3
    assert set(few) <= set(every)
