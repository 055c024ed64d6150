"""A review that is forgotten is nowhere any more, and nothing else changes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import DateTime, Float, Integer, String, Table, func, insert, select, update

from db.claims import Claim, claim_chunk, fail_chunk, finish_chunk
from db.clock import UtcDateTime
from db.database import Database
from db.deletion import columns_referring_to
from db.errors import JobNotOver, LeaseLost, UnknownReview
from db.forgetting import forget, plan_forgetting
from db.jobs import LabelledReview, RejectedRow, create_job, job_status, settle_job
from db.jobs import NewJob as Wanted
from db.predictions import Scored, store_predictions
from db.registry import RegisteredModel
from db.retry import retry_job
from db.reviews import store_reviews
from db.tables import Base, Chunk, Failure, Job, Model, Prediction, Review
from db.vacuum import empty_log
from tests.samples import SomeReview, verdict

SECRET = "Herr Unverwechselbar aus Ganzwoanders war enttaeuscht"


def store(database: Database, *reviews: SomeReview, source: str = "f.csv") -> list[int]:
    with database.write() as connection:
        return store_reviews(connection, source, reviews)


def job_of(database: Database, model: RegisteredModel, ids: list[int], **fields: object) -> tuple[int, list[int]]:
    with database.write() as connection:
        parts = fields.pop("chunks", [ids])
        return create_job(connection, Wanted("score", {"source": "f.csv"}, parts, model_id=model.id, **fields))


def finish(database: Database, model: RegisteredModel, job_id: int, chunk_id: int) -> None:
    with database.write() as connection:
        held = claim_chunk(connection, chunk_id, "me", 60)
        finish_chunk(connection, held, scored=len(held.review_ids))
        store_predictions(connection, model.id, [Scored(id_, job_id, verdict(0.9)) for id_ in held.review_ids])
        settle_job(connection, job_id)


def rows_that_refer(database: Database, ids: list[int]) -> dict[str, int]:
    with database.read() as connection:
        return {
            f"{column.table.name}.{column.name}": connection.scalar(
                select(func.count()).select_from(column.table).where(column.in_(ids))
            )
            for column in columns_referring_to(Review)
        }


def review_ids(database: Database, job_id: int) -> list[int]:
    with database.read() as connection:
        found = connection.scalars(select(Chunk.review_ids).where(Chunk.job_id == job_id).order_by(Chunk.position))
        return [id_ for ids in found for id_ in ids]


def some_row(table: Table, ids: dict[str, int]) -> dict[str, Any]:
    """A row that refers to those ids, whatever the table's columns are."""
    row: dict[str, Any] = {}
    for column in table.columns:
        keys = list(column.foreign_keys)
        if keys:
            row[column.name] = ids[keys[0].column.table.name]
        elif column.default is None and column.server_default is None and not column.nullable and not _is_id(column):
            row[column.name] = _some_value(column.type)
    return row


def _is_id(column: Any) -> bool:
    return column.primary_key and isinstance(column.type, Integer) and len(column.table.primary_key) == 1


def _some_value(kind: Any) -> Any:
    if isinstance(kind, UtcDateTime | DateTime):
        return datetime.now(UTC)
    if isinstance(kind, String):
        return "x"
    return 1 if isinstance(kind, Integer | Float) else {}


def test_whatever_table_refers_to_reviews_is_covered(database: Database, model: RegisteredModel) -> None:
    ids = store(database, SomeReview("a", "the one"), SomeReview("b", "another"))
    job_id, (chunk_id,) = job_of(database, model, ids)
    finish(database, model, job_id, chunk_id)
    with database.write() as connection:
        for table in {column.table for column in columns_referring_to(Review)} - {Prediction.__table__}:
            for review_id in ids:
                row = some_row(table, {"reviews": review_id, "jobs": job_id, "models": model.id})
                connection.execute(insert(table).values(row))
    assert set(rows_that_refer(database, ids[:1]).values()) == {1}
    told = plan_forgetting(database, "a").account
    done = forget(database, "a").account
    assert {name: one.rows for name, one in told.tables.items()} == {n: one.rows for n, one in done.tables.items()}
    assert {told.tables[name.split(".")[0]].rows for name in rows_that_refer(database, ids)} == {1}
    assert set(rows_that_refer(database, ids[:1]).values()) == {0}
    assert set(rows_that_refer(database, ids[1:]).values()) == {1}


def test_no_column_names_reviews_without_a_foreign_key() -> None:
    """But for the lists in chunks, which are looked through."""
    keyed = {(column.table.name, column.name) for column in columns_referring_to(Review)}
    named = {(t.name, c.name) for t in Base.metadata.sorted_tables for c in t.columns if "review_id" in c.name}
    assert named - keyed == {("chunks", "review_ids")}


def test_every_revision_in_every_source_or_in_one(database: Database, model: RegisteredModel) -> None:
    *_, keep = store(database, SomeReview("a", "one"), SomeReview("a", "two"), SomeReview("b", "one"))
    (elsewhere,) = store(database, SomeReview("a", "one"), source="g.csv")
    found = forget(database, "a", "f.csv")
    assert (found.sources, found.account.tables["reviews"].rows, found.same_text) == (["f.csv"], 2, 2)
    with database.read() as connection:
        assert list(connection.scalars(select(Review.id).order_by(Review.id))) == [keep, elsewhere]
    assert forget(database, "a").sources == ["g.csv"]
    with pytest.raises(UnknownReview, match="no review has the id 'a'"):
        forget(database, "a")
    with pytest.raises(UnknownReview, match=r"no review of g\.csv has the id 'b'; it is in: f\.csv"):
        plan_forgetting(database, "b", "g.csv")


def test_a_plan_changes_nothing(database: Database, model: RegisteredModel) -> None:
    ids = store(database, SomeReview("a", "one"), SomeReview("b", "two"))
    job_id, (chunk_id,) = job_of(database, model, ids)
    finish(database, model, job_id, chunk_id)
    found = plan_forgetting(database, "a")
    assert {n: one.rows for n, one in found.account.tables.items() if one.rows} == {
        "reviews": 1,
        "predictions": 1,
        "chunks": 1,
    }
    assert review_ids(database, job_id) == ids
    assert rows_that_refer(database, ids[:1])["predictions.review_id"] == 1


def test_rows_that_were_refused_go_too_and_the_books_stay(database: Database, model: RegisteredModel) -> None:
    ids = store(database, SomeReview("a", "one"), SomeReview("b", "two"))
    refused = [RejectedRow(3, "a", "the text is only white space"), RejectedRow(4, "c", "no text")]
    job_id, (chunk_id,) = job_of(database, model, ids, rejected=refused)
    finish(database, model, job_id, chunk_id)
    other_id, _ = job_of(database, model, [], rejected=[RejectedRow(1, "only refused", "no text")])
    forget(database, "a")
    assert forget(database, "only refused").sources == []
    with database.read() as connection:
        job = job_status(connection, job_id)
        assert list(connection.scalars(select(Failure.external_id))) == ["c"]
        assert job_status(connection, other_id).failed == 1
    assert (job.total, job.scored, job.failed) == (4, 2, 2)
    assert review_ids(database, job_id) == [0, ids[1]]


def test_a_chunk_under_work_is_taken_back_and_its_worker_cannot_write(
    database: Database, model: RegisteredModel, claim: Callable[..., Claim | None]
) -> None:
    ids = store(database, *(SomeReview(name, f"text {name}") for name in "abcd"))
    _, (first, second) = job_of(database, model, ids, chunks=[ids[:2], ids[2:]])
    held, other = claim(first), claim(second)
    forget(database, "a")
    with pytest.raises(LeaseLost), database.write() as connection:
        finish_chunk(connection, held, scored=2)
    with database.write() as connection:
        finish_chunk(connection, other, scored=2)
        again = claim_chunk(connection, first, "me", 60)
    assert (again.review_ids, again.attempt, again.errors, again.deaths) == ([0, ids[1]], 2, 0, 0)


def test_a_job_that_failed_is_retried_without_it(database: Database, model: RegisteredModel) -> None:
    ids = store(database, SomeReview("a", "one"), SomeReview("b", "two"))
    job_id, (chunk_id,) = job_of(database, model, ids)
    with database.write() as connection:
        fail_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), f"the model choked on {SECRET}")
        connection.execute(update(Review).where(Review.external_id == "a").values(text=SECRET))
    forget(database, "a")
    with database.write() as connection:
        for reason in (*connection.scalars(select(Chunk.error)), *connection.scalars(select(Job.error))):
            assert SECRET not in reason
            assert "deleted" in reason
        retry_job(connection, job_id)
        job = job_status(connection, job_id)
        assert claim_chunk(connection, chunk_id, "me", 60).review_ids == [0, ids[1]]
    assert (job.total, job.failed, job.state) == (2, 0, "pending")


def test_a_training_under_way_is_not_robbed(database: Database, model: RegisteredModel) -> None:
    ids = store(database, SomeReview("a", "one"), SomeReview("b", "two"))
    with database.write() as connection:
        examples = [LabelledReview(id_, "positive", "train") for id_ in ids]
        job_id, (chunk_id,) = create_job(connection, Wanted("finetune", {}, [ids], examples=examples))
    for attempt in (plan_forgetting, forget):
        with pytest.raises(JobNotOver, match=f"job {job_id} is training on it; wait for that, or cancel it"):
            attempt(database, "a")
    assert rows_that_refer(database, ids[:1])["examples.review_id"] == 1
    with database.write() as connection:
        finish_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), scored=2)
        settle_job(connection, job_id)
    forget(database, "a")
    assert rows_that_refer(database, ids)["examples.review_id"] == 1


def test_a_models_mistakes_name_it_no_longer(database: Database, model: RegisteredModel) -> None:
    ids = store(database, SomeReview("a", "one"), SomeReview("b", "two"))
    mistakes = [{"review_id": id_, "right": "positive", "predicted": "negative"} for id_ in ids]
    metrics = {"test_accuracy": 0.5, "evaluation": {"split": "test", "mistakes": mistakes}}
    with database.write() as connection:
        connection.execute(update(Model).values(metrics=metrics))
    forget(database, "a")
    with database.read() as connection:
        assert connection.scalar(select(Model.metrics)) == {
            "test_accuracy": 0.5,
            "evaluation": {"split": "test", "mistakes": mistakes[1:]},
        }


def test_sent_in_once_more_it_is_a_new_review_that_nobody_scored(database: Database, model: RegisteredModel) -> None:
    ids = store(database, SomeReview("a", "one"), SomeReview("b", "two"))
    job_id, (chunk_id,) = job_of(database, model, ids)
    finish(database, model, job_id, chunk_id)
    forget(database, "a")
    (again,) = store(database, SomeReview("a", "one"))
    assert again != ids[0]
    assert rows_that_refer(database, [again])["predictions.review_id"] == 0
    # Not even of the job that had it: its place there is held by a number that no review has.
    store(database, SomeReview("last", "of all"))
    job_id, _ = job_of(database, model, store(database, SomeReview("last", "of all")))
    forget(database, "last")
    (new,) = store(database, SomeReview("new", "words"))
    assert new not in review_ids(database, job_id)


def test_its_bytes_are_gone_from_the_files_of_sqlite(tmp_path: Path, sqlite_url: str) -> None:
    from db.schema import upgrade

    database = Database(sqlite_url)
    upgrade(database)
    store(database, *(SomeReview(str(n), f"some other text {n}" * 20) for n in range(300)))
    store(database, SomeReview("a", f"{SECRET} {'und so weiter ' * 900}", extra={"name": "Ganzpersoenlich"}))
    assert any(SECRET.encode() in path.read_bytes() for path in tmp_path.glob("reviewmill.db*"))
    forget(database, "a")
    assert empty_log(database)
    assert {path.name for path in tmp_path.glob("reviewmill.db*")} >= {"reviewmill.db", "reviewmill.db-wal"}
    for path in tmp_path.glob("reviewmill.db*"):
        for word in (SECRET, "und so weiter", "Ganzpersoenlich"):
            assert word.encode() not in path.read_bytes(), path
    database.close()


def test_a_plan_can_be_told_as_json(database: Database) -> None:
    store(database, SomeReview("a", "one"))
    (reviews,) = [one for name, one in plan_forgetting(database, "a").account.tables.items() if name == "reviews"]
    assert json.dumps(reviews.example) == '"of f.csv, 3 characters"'
