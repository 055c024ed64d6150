"""Scoring a chunk with a real model: the pipeline's own probabilities come out of SQL."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from db.claims import Claim
from db.jobs import job_status
from db.registry import RegisteredModel
from db.results import Result, ResultFilter, find_results
from db.tables import Prediction, Review
from tests.samples import CHECKPOINTS, SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.lease import Heartbeat
from worker.scoring import score_chunks

Add = Callable[..., RegisteredModel]
Make = Callable[..., int]


def reference(name: str) -> list[dict]:
    return json.loads((CHECKPOINTS / name / "reference.json").read_text())["rows"]


def results(context: WorkerContext) -> dict[str, Result]:
    with context.database.read() as connection:
        return {one.external_id: one for one in find_results(connection, ResultFilter())}


@pytest.mark.parametrize("name", ["distilbert", "roberta-multi-label", "bert-regression"])
def test_probabilities_in_sql_are_the_pipelines(
    context: WorkerContext, add_checkpoint: Add, make_chunk: Make, name: str
) -> None:
    model, rows = add_checkpoint(name), reference(name)
    reviews = [SomeReview(str(number), row["text"], row["pair"]) for number, row in enumerate(rows)]
    run_chunk(context, make_chunk(model.id, reviews), score_chunks)
    stored = results(context)
    assert len(stored) == len(rows)
    for number, row in enumerate(rows):
        one = stored[str(number)]
        assert one.probabilities == pytest.approx(row["probabilities"], abs=1e-5)
        assert set(one.probabilities) == set(model.labels)
        assert one.label == max(row["probabilities"], key=row["probabilities"].get)
        assert one.tokens == row["tokens"]
        assert one.truncated == (len(row["text"]) + len(row["pair"] or "") > 500)
        assert one.tokens == model.max_tokens or not one.truncated


def test_a_text_is_inferred_once_and_shared(context: WorkerContext, add_checkpoint: Add, make_chunk: Make) -> None:
    model = add_checkpoint("bert")
    first = [SomeReview("1", "A wonderful film."), SomeReview("2", "terrible"), SomeReview("3", "terrible")]
    run_chunk(context, make_chunk(model.id, first), score_chunks)
    inferred: list[int] = []
    engine = context.models.get(model.id).engine
    start = engine.start
    engine.start = lambda batch: inferred.append(len(batch.token_ids)) or start(batch)  # type: ignore[func-returns-value]
    again = [SomeReview("1", "A wonderful film."), SomeReview("9", "terrible"), SomeReview("10", "new words")]
    run_chunk(context, make_chunk(model.id, again), score_chunks)
    assert inferred == [1]
    with context.database.read() as connection:
        jobs = [job_status(connection, job_id) for job_id in (1, 2)]
    assert [(job.scored, job.reused, job.state) for job in jobs] == [(2, 1, "done"), (1, 2, "done")]
    stored = results(context)
    assert stored["9"].probabilities == stored["2"].probabilities == stored["3"].probabilities


def test_a_deleted_review_is_a_failure_with_a_reason(
    context: WorkerContext, add_checkpoint: Add, make_chunk: Make
) -> None:
    model = add_checkpoint("bert")
    chunk_id = make_chunk(model.id, [SomeReview("1", "good"), SomeReview("2", "bad")])
    with context.database.write() as connection:
        connection.execute(Review.__table__.delete().where(Review.external_id == "2"))
    run_chunk(context, chunk_id, score_chunks)
    with context.database.read() as connection:
        job = job_status(connection, 1)
    assert (job.state, job.scored, job.failed) == ("done", 1, 1)


def test_a_model_whose_files_are_gone_fails_the_job(
    context: WorkerContext, make_chunk: Make, add_checkpoint: Add, tmp_path: object
) -> None:
    from shutil import copytree, rmtree

    directory = copytree(CHECKPOINTS / "bert", tmp_path / "moved")  # type: ignore[operator]
    model = add_checkpoint("moved", directory)
    rmtree(directory)
    run_chunk(context, make_chunk(model.id, [SomeReview("1", "good")]), score_chunks)
    with context.database.read() as connection:
        job = job_status(connection, 1)
    assert job.state == "failed"
    assert job.error is not None
    assert "moved@1 are gone" in job.error


def test_a_chunk_taken_over_meanwhile_leaves_no_prediction(
    context: WorkerContext, add_checkpoint: Add, make_chunk: Make
) -> None:
    model = add_checkpoint("bert")
    chunk_id = make_chunk(model.id, [SomeReview("1", "good")])

    def overtaken(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        (claim,) = claims
        score_chunks(context, [replace(claim, attempt=claim.attempt - 1, owner="zombie")], heartbeat)

    run_chunk(context, chunk_id, overtaken)
    with context.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Prediction)) == 0
