"""What a report counts, on both databases, by hand-counted examples."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, inspect, update

from db.checkpoint import CheckpointFacts
from db.database import Database
from db.errors import UnknownJob, UnknownModel
from db.jobs import NewJob, RejectedRow, create_job
from db.predictions import Scored, ScoreFailure, Verdict, store_predictions, store_score_failures
from db.registry import RegisteredModel, register_model
from db.report import (
    Buckets,
    by_day,
    by_value,
    histogram,
    label_shares,
    labels_by_day,
    labels_by_value,
    readings,
    totals,
)
from db.report_reviews import SHOWN_CHARS, highest, least_sure, lowest, middle, sample_kept
from db.report_scope import ReportScope, in_scope, scope_of_job, scope_of_model
from db.report_work import DeviceWork, Reason, Work, device_work, newest_jobs, reasons, work
from db.reviews import store_reviews
from db.tables import Chunk
from tests.samples import SomeReview, facts, verdict

#: Their first five are the job's; the last is another job's, whose text and column no answer of the first may have.
POSITIVE = (0.9, 0.2, 0.55, 0.35, 0.1, 0.97)
KEPT: tuple[dict[str, object] | None, ...] = (
    {"shop": "north", "when": "2026-01-05"},
    {"shop": "north", "when": "2026-01-05T10:00:00Z"},
    {"shop": "south", "when": "2026-02-01"},
    {"shop": None, "when": "soon"},
    None,
    {"shop": "elsewhere", "when": "1999-01-01"},
)
TENTHS = Buckets(0.0, 0.1, 10)


@pytest.fixture
def job(database: Database, model: RegisteredModel) -> int:
    reviews = [SomeReview(f"r{at}", f"text {at}", extra=extra) for at, extra in enumerate(KEPT)]
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", reviews)
        rejected = [RejectedRow(7, None, "no text"), RejectedRow(9, None, "no text")]
        new = NewJob("score", {}, [ids[:2], [*ids[2:5], ids[0]]], model_id=model.id, rejected=rejected)
        job_id, chunk_ids = create_job(connection, new)
        other, _ = create_job(connection, NewJob("score", {}, [ids[5:]], model_id=model.id))
        scored = [Scored(id_, job_id, verdict(positive, 10)) for id_, positive in zip(ids, POSITIVE, strict=True)]
        store_predictions(connection, model.id, [*scored[:5], scored[5]._replace(job_id=other)])
        store_score_failures(connection, job_id, [ScoreFailure(None, "r9", "it blew up")])
        done = {"scored": 2, "device": "cpu@a", "device_s": 2.0, "tokens": 60, "batch_tokens": 80}
        connection.execute(update(Chunk).where(Chunk.id == chunk_ids[0]).values(done))
        connection.execute(update(Chunk).where(Chunk.id == chunk_ids[1]).values({**done, "reused": 1, "failed": 1}))
    return job_id


@contextmanager
def asked(database: Database, job_id: int | None) -> Iterator[tuple[Connection, ReportScope]]:
    with database.read() as connection:
        scope = scope_of_job(connection, job_id) if job_id is not None else scope_of_model(connection, None)
        with in_scope(connection, scope):
            yield connection, scope


def add_model(database: Database, problem_type: str, labels: tuple[str, ...], answers: list[dict[str, float]]) -> None:
    """A model of another kind, and what it says."""
    with database.write() as connection:
        checkpoint = CheckpointFacts("bert", labels, problem_type, 512, "e" * 64)
        model = register_model(connection, "other", Path("/m"), checkpoint, kind="directory")
        ids = store_reviews(connection, "f", [SomeReview(str(at), f"review {at}") for at in range(len(answers))])
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        scored = []
        for id_, values in zip(ids, answers, strict=True):
            label = max(values, key=lambda name: values[name])
            margin = None if problem_type == "regression" else min(abs(2 * value - 1) for value in values.values())
            scored.append(Scored(id_, job_id, Verdict(label, values[label], margin, values, 9, False, "float32")))
        store_predictions(connection, model.id, scored)


def test_totals_are_those_of_the_jobs_reviews(database: Database, job: int) -> None:
    with asked(database, job) as (connection, scope):
        found = totals(connection, scope)
        assert (found.reviews, found.undecided, found.unlabelled, found.truncated, found.tokens) == (5, 1, 0, 0, 50)
        # The scores are those of the label given: 0.9, 0.8, 0.55, 0.65 and 0.9.
        assert found.mean == pytest.approx(0.76)
        assert found.mean_square == pytest.approx((0.81 + 0.64 + 0.3025 + 0.4225 + 0.81) / 5)
        assert (found.lowest, found.highest) == (0.55, 0.9)
        assert found.first_scored_at is not None
        assert abs(datetime.now(UTC) - found.first_scored_at) < timedelta(minutes=5)
        assert readings(connection, scope) == [("float32", "whole", 5)]
    with asked(database, None) as (connection, scope):
        assert totals(connection, scope).reviews == 6


def test_labels_are_counted(database: Database, job: int) -> None:
    with asked(database, job) as (connection, scope):
        shares = label_shares(connection, scope)
    assert [(one.label, one.reviews) for one in shares] == [("negative", 3), ("positive", 2)]
    assert [one.mean for one in shares] == [pytest.approx((0.8 + 0.65 + 0.9) / 3), pytest.approx(0.725)]


def test_a_value_on_an_edge_belongs_to_the_bucket_above(database: Database, job: int) -> None:
    with asked(database, job) as (connection, scope):
        mirrored = histogram(connection, scope, TENTHS, scope.model.labels, mirrored=True)
        plain = histogram(connection, scope, TENTHS, scope.model.labels)
        few = histogram(connection, scope, Buckets(0.5, 0.25, 1), scope.model.labels)
    # 0.1, 0.2, 0.35, 0.55 and 0.9 of positive; 1 - 0.9 is a little less than 0.1 to a computer.
    assert sorted(mirrored) == [
        ("negative", 1, 1),
        ("negative", 2, 1),
        ("negative", 3, 1),
        ("positive", 5, 1),
        ("positive", 9, 1),
    ]
    assert sorted(plain) == [
        ("negative", 6, 1),
        ("negative", 8, 1),
        ("negative", 9, 1),
        ("positive", 5, 1),
        ("positive", 9, 1),
    ]
    assert sorted(few) == [("negative", 0, 3), ("positive", 0, 2)]


def test_reviews_are_counted_by_day(database: Database, job: int) -> None:
    with asked(database, job) as (connection, scope):
        parts = {part.of: (part.reviews, part.mean) for part in by_day(connection, scope, "when")}
        labelled = set(labels_by_day(connection, scope, "when"))
    assert parts == {
        "2026-01-05": (2, pytest.approx(0.85)),
        "2026-02-01": (1, 0.55),
        "soon": (1, 0.65),
        None: (1, 0.9),
    }
    assert ("2026-01-05", "positive", 1) in labelled
    assert (None, "negative", 1) in labelled
    assert len(labelled) == 5


def test_reviews_are_counted_by_value(database: Database, job: int) -> None:
    with asked(database, job) as (connection, scope):
        parts = [(part.of, part.reviews) for part in by_value(connection, scope, "shop", 9)]
        assert [part.of for part in by_value(connection, scope, "shop", 1)] in (["north"], [None])
        labelled = set(labels_by_value(connection, scope, "shop", ["north", None]))
        named = set(labels_by_value(connection, scope, "shop", ["north"]))
    assert sorted(parts, key=str) == sorted([("north", 2), ("south", 1), (None, 2)], key=str)
    assert parts[2] == ("south", 1)
    assert named == {("north", "positive", 1), ("north", "negative", 1)}
    assert labelled == named | {(None, "negative", 2)}


def test_reviews_worth_a_look(database: Database, job: int) -> None:
    with asked(database, job) as (connection, scope):
        assert [one.external_id for one in highest(connection, scope, "negative", 2)] == ["r4", "r1"]
        assert [one.external_id for one in lowest(connection, scope, "negative", 1)] == ["r3"]
        assert [one.external_id for one in middle(connection, scope, "negative", 1)] == ["r1"]
        assert [one.external_id for one in least_sure(connection, scope, 2)] == ["r2", "r3"]
        assert middle(connection, scope, "nobody", 1) == []
        kept = sample_kept(connection, scope, 400)
    assert sorted(kept, key=str) == sorted([extra or {} for extra in KEPT[:5]], key=str)


def test_the_same_text_is_shown_once_and_long_ones_are_cut(database: Database, model: RegisteredModel) -> None:
    with database.write() as connection:
        reviews = [SomeReview(str(at), "again" if at < 3 else "x" * 5_000, "pair" * 1_000) for at in range(4)]
        ids = store_reviews(connection, "f", reviews)
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        store_predictions(connection, model.id, [Scored(id_, job_id, verdict(0.9)) for id_ in ids])
    with asked(database, job_id) as (connection, scope):
        again, long = highest(connection, scope, "positive", 3)
    assert (again.external_id, again.text, again.chars) == ("0", "again", 5)
    assert (len(long.text), len(long.text_pair or ""), long.chars) == (SHOWN_CHARS, SHOWN_CHARS, 5_000)


def test_what_became_of_the_rows(database: Database, job: int) -> None:
    with asked(database, job) as (connection, scope):
        assert work(connection, scope) == Work(1, 8, 4, 1, 3, 2)
        assert reasons(connection, scope, 5) == [
            Reason("read", "no text", 2, 7, None),
            Reason("score", "it blew up", 1, None, "r9"),
        ]
        assert len(reasons(connection, scope, 1)) == 1
        assert device_work(connection, scope, 5) == [DeviceWork("cpu@a", 4, 4.0, 120, 160)]
        assert [one.id for one in newest_jobs(connection, scope, 5)] == [job]
    with asked(database, None) as (connection, scope):
        assert work(connection, scope).jobs == 2
        assert [one.id for one in newest_jobs(connection, scope, 5)] == [job + 1, job]


def test_several_labels_of_one_review_each_count(database: Database) -> None:
    labels = ("plot", "music", "price")
    answers = [
        {"plot": 0.9, "music": 0.5, "price": 0.1},
        {"plot": 0.7, "music": 0.2, "price": 0.6},
        {"plot": 0.3, "music": 0.1, "price": 0.4},
    ]
    add_model(database, "multi_label_classification", labels, answers)
    with asked(database, None) as (connection, scope):
        shares = label_shares(connection, scope)
        assert [(one.label, one.reviews) for one in shares] == [("plot", 2), ("music", 1), ("price", 1)]
        assert shares[0].mean == pytest.approx(0.8)
        assert totals(connection, scope).unlabelled == 1
        bars = histogram(connection, scope, TENTHS, ["plot", "music"])
        assert sorted(bars) == [
            ("music", 1, 1),
            ("music", 2, 1),
            ("music", 5, 1),
            ("plot", 3, 1),
            ("plot", 7, 1),
            ("plot", 9, 1),
        ]


def test_numbers_may_be_negative(database: Database) -> None:
    add_model(database, "regression", ("mark",), [{"mark": -2.5}, {"mark": -2.0}, {"mark": 7.25}])
    with asked(database, None) as (connection, scope):
        assert scope.gives_numbers
        found = totals(connection, scope)
        assert (found.lowest, found.highest, found.undecided) == (-2.5, 7.25, 0)
        bars = histogram(connection, scope, Buckets(-3.0, 0.5, 21), ["mark"])
        assert sorted(bars) == [("mark", 1, 1), ("mark", 2, 1), ("mark", 20, 1)]
        assert least_sure(connection, scope, 3) == []


def test_nothing_is_left_behind_and_two_jobs_can_be_asked_about(database: Database, job: int) -> None:
    with database.read() as connection:
        for job_id, reviews in ((job, 5), (job + 1, 1)):
            scope = scope_of_job(connection, job_id)
            with in_scope(connection, scope):
                assert totals(connection, scope).reviews == reviews
        assert not inspect(connection).has_table("report_reviews")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_job_is_asked_about_without_reading_the_models_other_predictions(database: Database, job: int) -> None:
    with asked(database, job) as (connection, scope):
        plans: list[list[str]] = []

        def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
            if "predictions" in statement:
                plan = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans.append([row[3] for row in plan if row[3].startswith(("SCAN", "SEARCH"))])

        event.listen(database.engine, "before_cursor_execute", explain)
        totals(connection, scope)
        label_shares(connection, scope)
        list(by_day(connection, scope, "when"))
        list(labels_by_day(connection, scope, "when"))
        by_value(connection, scope, "shop", 5)
        labels_by_value(connection, scope, "shop", ["north"])
        highest(connection, scope, "negative", 3)
        middle(connection, scope, "negative", 3)
        least_sure(connection, scope, 3)
    assert len(plans) == 10
    for plan in plans:
        first, second, *others = [step for step in plan if "VIRTUAL TABLE" not in step]
        assert first == "SCAN report_reviews"
        assert second.startswith("SEARCH predictions")
        assert "review_id=?" in second
        assert all(step.startswith("SEARCH reviews USING INTEGER PRIMARY KEY") for step in others), others


def test_what_cannot_be_reported_on(database: Database, model: RegisteredModel) -> None:
    with database.read() as connection:
        with pytest.raises(UnknownModel, match="nothing to report on yet"):
            scope_of_model(connection, None)
        with pytest.raises(UnknownJob, match="there is no job 7"):
            scope_of_job(connection, 7)
    with database.write() as connection:
        training, _ = create_job(connection, NewJob("finetune", {}, [[]], model_id=model.id))
        with pytest.raises(UnknownJob, match="models show sentiment@1 --report FILE"):
            scope_of_job(connection, training)
        # A model that no job scored with is no answer to what is newest.
        register_model(connection, "unused", Path("/m"), facts("f" * 64), kind="directory")
        create_job(connection, NewJob("score", {}, [[]], model_id=model.id))
        assert scope_of_model(connection, None).model == model
        assert scope_of_model(connection, "unused").model.name == "unused"
