"""An answer of before serves a job only if it is as exact as the job asks for."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from db.claims import claim_chunk
from db.jobs import NewJob, create_job, job_status
from db.registry import RegisteredModel
from db.reviews import store_reviews
from db.tables import Prediction
from tests.samples import SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.cpu.variants import candidates
from worker.models import LoadedModels
from worker.precision.choose import reusable_precisions
from worker.scoring import _model, score_chunks


@pytest.fixture
def score(context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel]) -> Callable[[str | None], tuple]:
    """Score the same three reviews again in a precision; returns how many were scored and how many reused."""
    model = add_checkpoint("bert")
    reviews = [SomeReview(str(number), f"a film of {number} hours") for number in range(3)]

    def again(precision: str | None) -> tuple:
        params = {"source": "file.csv"} | ({"precision": precision} if precision else {})
        with context.database.write() as connection:
            ids = store_reviews(connection, "file.csv", reviews)
            job_id, (chunk_id,) = create_job(connection, NewJob("score", params, [ids], model_id=model.id))
        run_chunk(context, chunk_id, score_chunks)
        with context.database.read() as connection:
            job = job_status(connection, job_id)
        assert job.state == "done"
        return job.scored, job.reused

    return again


def precisions(context: WorkerContext) -> set[str]:
    with context.database.read() as connection:
        return set(connection.scalars(select(Prediction.precision)))


def test_int8_is_no_answer_to_float32_but_to_auto(context: WorkerContext, score: Callable[[str | None], tuple]) -> None:
    assert score("int8") == (3, 0)
    assert precisions(context) <= set(candidates("int8", "auto"))
    assert score("int8") == score("auto") == score(None) == (0, 3)
    assert score("float32") == (3, 0)
    assert precisions(context) == {"float32"}
    assert score("int8") == (0, 3)
    assert precisions(context) == {"float32"}


def test_what_the_null_engine_made_up_is_no_answer(
    context: WorkerContext, score: Callable[[str | None], tuple]
) -> None:
    real, null = context.settings, context.settings.model_copy(update={"engine": "null"})
    context.settings, context.models = null, LoadedModels(context.database, null, "cpu@here")
    assert [score(None), score(None)] == [(3, 0), (0, 3)]
    assert precisions(context) == {"null"}
    context.settings, context.models = real, LoadedModels(context.database, real, "cpu@here")
    assert score(None) == (3, 0)
    assert precisions(context) == {"float32"}


@pytest.mark.parametrize(
    ("asked", "reusable"),
    [
        ("auto", {"int8", "int8-but-down-projections", "int8-dynamic", "int8-dynamic-but-down", "bfloat16", "float32"}),
        ("int8", {"int8", "int8-but-down-projections", "int8-dynamic", "int8-dynamic-but-down", "bfloat16", "float32"}),
        ("bfloat16", {"bfloat16", "float32"}),
        ("float32", {"float32"}),
    ],
)
def test_the_more_exact_serves_the_less_exact(asked: str, reusable: set[str]) -> None:
    assert set(reusable_precisions(asked, "auto")) == reusable


def test_chunks_together_are_served_as_their_source_is(
    context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = add_checkpoint("bert"), []
    monkeypatch.setattr(context.models, "use", lambda model_id, job_id: asked.append(job_id))
    claims = []
    for source in ("a.csv", "a.csv", "b.csv"):
        with context.database.write() as connection:
            ids = store_reviews(connection, source, [SomeReview("1", "good")])
            _, (chunk_id,) = create_job(connection, NewJob("score", {"source": source}, [ids], model_id=model.id))
            claims.append(claim_chunk(connection, chunk_id, "me", 60))
    for chosen in (claims[:1], claims[:2], claims):
        _model(context, model.id, chosen)
    assert asked == [1, 1, None]
