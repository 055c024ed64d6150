"""A worker loads no model that is not on its own list, whatever the rows say that a producer wrote."""

from collections.abc import Callable
from pathlib import Path

import pytest

from db.checkpoint import read_checkpoint_facts
from db.database import Database
from db.jobs import LabelledReview, NewJob, create_job, job_status
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from tests.samples import CHECKPOINTS, SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.models import LoadedModels
from worker.scoring import score_chunks
from worker.training.finetune import finetune

ALBERT, BERT = CHECKPOINTS / "albert", CHECKPOINTS / "bert"


def limit(context: WorkerContext, listed: object) -> None:
    context.settings = context.settings.model_copy(update={"allowed_models": str(listed)})
    context.models = LoadedModels(context.database, context.settings, "here/cpu")


def outcome(database: Database, job_id: int) -> tuple[str, str | None]:
    with database.read() as connection:
        job = job_status(connection, job_id)
    return job.state, job.error


def test_a_job_of_a_model_that_is_not_listed_fails_at_once(
    context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel], make_chunk: Callable[..., int]
) -> None:
    limit(context, f"{ALBERT}, org/*")
    model = add_checkpoint("org/bert", BERT)
    run_chunk(context, make_chunk(model.id, [SomeReview("1", "good")]), score_chunks)
    told = f"ModelNotAllowed: the model {BERT} is not allowed here; REVIEWMILL_ALLOWED_MODELS allows org/*, {ALBERT}"
    assert outcome(context.database, 1) == ("failed", told)
    limit(context, CHECKPOINTS)
    run_chunk(context, make_chunk(model.id, [SomeReview("1", "good")]), score_chunks)
    assert outcome(context.database, 2) == ("done", None)


def test_rows_that_call_a_folder_a_model_of_the_hub_are_not_believed(
    context: WorkerContext, make_chunk: Callable[..., int]
) -> None:
    limit(context, "org/*")
    with context.database.write() as connection:
        facts = read_checkpoint_facts(BERT)
        model = register_model(connection, "org/good", BERT, facts, kind="hub", base="org/good")
    run_chunk(context, make_chunk(model.id, [SomeReview("1", "good")]), score_chunks)
    state, reason = outcome(context.database, 1)
    assert (state, (reason or "").partition(" is not")[0]) == ("failed", f"ModelNotAllowed: the model {BERT}")


@pytest.mark.parametrize(("listed", "state"), [(BERT, "done"), (ALBERT, "failed")])
def test_a_base_is_looked_at_before_it_is_trained(
    context: WorkerContext, make_chunk: Callable[..., int], listed: Path, state: str
) -> None:
    limit(context, listed)
    chunk_id = train(context.database)
    run_chunk(context, chunk_id, finetune)
    found, reason = outcome(context.database, 1)
    assert found == state, reason
    if state == "failed":
        assert (reason or "").startswith(f"ModelNotAllowed: the model {BERT} is not allowed here;")
        return
    # What it made is allowed with its base, and no longer than its base.
    run_chunk(context, make_chunk(1, [SomeReview("1", "good")]), score_chunks)
    assert outcome(context.database, 2) == ("done", None)
    limit(context, ALBERT)
    run_chunk(context, make_chunk(1, [SomeReview("2", "fine")]), score_chunks)
    assert outcome(context.database, 3)[0] == "failed"


def train(database: Database) -> int:
    """A fine-tuning job, as a producer that knows no list would make it; returns its chunk's id."""
    from dataclasses import asdict

    from producer.enqueue import TrainingPlan

    plan = asdict(TrainingPlan("taste", batch_size=4, max_length=16))
    about = {"base": "bert", "problem_type": "single_label_classification", "labels": ["bad", "good"], "steps": 1}
    with database.write() as connection:
        ids = store_reviews(connection, "file.csv", [SomeReview(text, text) for text in ("good", "bad")])
        examples = [LabelledReview(id_, label, "train") for id_, label in zip(ids, ("good", "bad"), strict=True)]
        params = {**plan, **about, "base_directory": str(BERT)}
        _, (chunk_id,) = create_job(connection, NewJob("finetune", params, [ids], examples=examples))
    return chunk_id
