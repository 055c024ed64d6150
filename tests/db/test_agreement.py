"""What two models say of a job's reviews, and which of these have a right answer that counts."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from db.agreement import (
    answers_of_both,
    check_comparable,
    computing_s,
    labels_from_examples,
    review_ids_in_order,
    trained_on,
)
from db.checkpoint import CheckpointFacts
from db.claims import ChunkEnd, Effort, claim_chunk, finish_chunks
from db.comparison import Answers
from db.database import Database
from db.errors import NotComparable
from db.jobs import LabelledReview, NewJob, create_job
from db.predictions import Scored, Verdict, store_predictions
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from db.training import set_trained_model
from tests.samples import SomeReview, facts, verdict

TEXTS = [SomeReview(str(number), f"text {number}") for number in range(4)]
FLIPS = re.search(r"```sql\n(.+?)```", (Path(__file__).parents[2] / "docs/models.md").read_text(), re.DOTALL)


def add_model(database: Database, digest: str, **provenance: object) -> RegisteredModel:
    with database.write() as connection:
        return register_model(
            connection,
            "stars",
            Path("/models/stars"),
            facts(digest),
            kind="finetuned",
            provenance=provenance,
        )


@pytest.fixture
def models(database: Database) -> list[RegisteredModel]:
    return [add_model(database, digest) for digest in ("1", "2", "3")]


@pytest.fixture
def job(database: Database, models: list[RegisteredModel]) -> int:
    """A job of the four reviews, the first one twice. The first and the third model have scored all, the second two."""
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", TEXTS)
        job_id, _ = create_job(connection, NewJob("score", {}, [ids[:2], [*ids[2:], ids[0]]], model_id=models[0].id))
        for model, positives in zip(models, ((0.9, 0.2, 0.6, 0.4), (0.8, 0.7), (0.3, 0.1, 0.1, 0.1)), strict=True):
            said = zip(ids, positives, strict=False)
            scored = [Scored(review_id, job_id, verdict(positive)) for review_id, positive in said]
            store_predictions(connection, model.id, scored)
    return job_id


def train(
    database: Database,
    source: str,
    labelled: Sequence[tuple[str, str | None, str]],
    model: RegisteredModel | None = None,
) -> int:
    """A fine-tuning job of (text, label, split), which made the model."""
    with database.write() as connection:
        ids = store_reviews(connection, source, [SomeReview(f"{source} {one[0]}", one[0]) for one in labelled])
        examples = [LabelledReview(id_, label, split) for id_, (_, label, split) in zip(ids, labelled, strict=True)]
        job_id, _ = create_job(connection, NewJob("finetune", {}, [ids], examples=examples))
        if model is not None:
            set_trained_model(connection, job_id, model.id)
    return job_id


def test_the_answers_of_both_on_the_jobs_reviews(database: Database, models: list[RegisteredModel], job: int) -> None:
    with database.write() as connection:
        (other,) = store_reviews(connection, "file.csv", [SomeReview("other", "of another job")])
        for model in models:
            store_predictions(connection, model.id, [Scored(other, job, verdict(0.9))])
    with database.read() as connection:
        ids = [*dict.fromkeys(review_ids_in_order(connection, job))]
        assert list(answers_of_both(connection, job, models[0], models[1])) == [
            Answers(ids[0], "positive", "positive", 0.9, 0.8),
            Answers(ids[1], "negative", "positive", 0.8, pytest.approx(0.3)),
        ]
        other_way = list(answers_of_both(connection, job, models[1], models[0]))
        assert other_way[1] == Answers(ids[1], "positive", "negative", 0.7, 0.2)
        assert len(list(answers_of_both(connection, job, models[0], models[2]))) == 4


def test_a_multi_label_model_says_every_label_at_one_half(database: Database) -> None:
    of_both = []
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", TEXTS[:1])
        job_id, _ = create_job(connection, NewJob("score", {}, [ids]))
        for digest, values in (("1", {"b": 0.5, "a": 0.9}), ("2", {"b": 0.4, "a": 0.3})):
            about = CheckpointFacts("bert", ("b", "a"), "multi_label_classification", 512, digest)
            model = register_model(connection, "topics", Path("/m"), about, kind="directory")
            label = max(values, key=values.__getitem__)
            said = Verdict(label, values[label], 0.1, values, 5, False, "float32")
            store_predictions(connection, model.id, [Scored(ids[0], job_id, said)])
            of_both.append(model)
        (answers,) = answers_of_both(connection, job_id, *of_both)
    assert answers == Answers(ids[0], "a|b", "", 0.9, 0.3)


def test_the_reviews_come_in_the_order_of_the_source(database: Database, job: int) -> None:
    with database.read() as connection:
        ids = list(review_ids_in_order(connection, job))
        assert ids == [*sorted(ids[:4]), ids[0]]
        assert list(review_ids_in_order(connection, 99)) == []


def test_labels_are_those_that_training_was_given_for_the_texts(database: Database, job: int) -> None:
    train(database, "old.csv", [("text 0", "negative", "train"), ("text 1", "negative", "validation")])
    train(database, "new.csv", [("text 0", "positive", "test"), ("elsewhere", "negative", "train")])
    train(database, "topics.csv", [("text 0", "price", "train"), ("text 2", "price", "train")])
    with database.read() as connection:
        ids = review_ids_in_order(connection, job)
        possible = labels_from_examples(connection, job, ["negative", "positive"])
        every = labels_from_examples(connection, job, None)
    assert possible == {ids[0]: "positive", ids[1]: "negative"}
    assert every == {ids[0]: "price", ids[1]: "negative", ids[2]: "price"}


def test_texts_that_a_model_or_its_base_has_learned_are_known(database: Database, job: int) -> None:
    grandparent, parent = add_model(database, "g"), add_model(database, "p", base_digest="g")
    child, stranger = add_model(database, "c", base_digest="p"), add_model(database, "s")
    train(database, "a.csv", [("text 0", "positive", "train"), ("text 1", "positive", "validation")], grandparent)
    train(database, "b.csv", [("text 2", "positive", "train"), ("elsewhere", "positive", "train")], child)
    with database.read() as connection:
        ids = review_ids_in_order(connection, job)
        assert trained_on(connection, job, [child.id, stranger.id]) == {ids[0], ids[2]}
        assert trained_on(connection, job, [stranger.id, parent.id]) == {ids[0]}
        assert trained_on(connection, job, [stranger.id]) == set()


def test_texts_without_a_label_tell_nothing_that_is_right(database: Database, job: int) -> None:
    train(database, "old.csv", [("text 0", "positive", "train")])
    train(database, "taught.csv", [("text 0", None, "train"), ("text 1", None, "train")])
    with database.read() as connection:
        ids = review_ids_in_order(connection, job)
        assert labels_from_examples(connection, job, None) == {ids[0]: "positive"}


def test_what_a_teacher_has_learned_its_student_has_been_told(database: Database, job: int) -> None:
    teacher, student = add_model(database, "t"), add_model(database, "s", teacher={"model": "t@1", "digest": "t"})
    train(database, "a.csv", [("text 0", "positive", "train")], teacher)
    train(database, "b.csv", [("text 2", None, "train")], student)
    with database.read() as connection:
        ids = review_ids_in_order(connection, job)
        assert trained_on(connection, job, [student.id]) == {ids[0], ids[2]}
        assert trained_on(connection, job, [teacher.id]) == {ids[0]}


def test_only_what_devices_computed_counts_as_computing(database: Database, job: int) -> None:
    with database.write() as connection:
        assert computing_s(connection, job) == 0.0
        for chunk_id, seconds in ((1, 1.5), (2, 2.25)):
            claim_chunk(connection, chunk_id, "me", 60)
            finish_chunks(connection, {chunk_id: ChunkEnd(scored=2, effort=Effort("cpu@here", seconds, 8, 9))})
        assert computing_s(connection, job) == pytest.approx(3.75)


def test_every_flip_is_found_by_the_documented_query(
    database: Database, models: list[RegisteredModel], job: int
) -> None:
    assert FLIPS is not None
    with database.read() as connection:
        found = connection.execute(text(FLIPS[1])).all()
    assert [(row.external_id, row.before, row.after) for row in found] == [
        ("0", "positive", "negative"),
        ("2", "positive", "negative"),
    ]
    assert [row.before_score + row.after_score for row in found] == pytest.approx([0.9 + 0.7, 0.6 + 0.9])


def test_what_cannot_be_compared(database: Database, models: list[RegisteredModel]) -> None:
    check_comparable(*models[:2])
    others = {
        "same": (models[0], "both models are stars@1"),
        "labels": (facts("l", ("good", "bad")), "their labels are negative, positive and bad, good"),
        "kind": (
            CheckpointFacts("bert", ("negative", "positive"), "multi_label_classification", 512, "k"),
            "one is of single_label_classification, the other of multi_label_classification",
        ),
    }
    for name, (other, said) in others.items():
        if isinstance(other, CheckpointFacts):
            with database.write() as connection:
                other = register_model(connection, name, Path("/m"), other, kind="directory")
        with pytest.raises(NotComparable, match=said) as raised:
            check_comparable(models[0], other)
        assert "\n" not in str(raised.value)
    with database.write() as connection:
        turned = register_model(connection, "t", Path("/m"), facts("t", ("positive", "negative")), kind="directory")
    check_comparable(models[0], turned)
