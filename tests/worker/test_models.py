"""A version answers as it did when it was registered, or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.database import Database
from db.jobs import job_status
from db.registry import RegisteredModel
from db.tables import Prediction
from tests.samples import CHECKPOINTS, SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.models import LoadedModels
from worker.scoring import score_chunks


def predictions(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(Prediction)) or 0


def spoil(file: Path) -> bytes:
    """Change one bit of a file; return what it was."""
    before = file.read_bytes()
    file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    return before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_files_that_were_changed_score_nothing(
    context: WorkerContext,
    add_checkpoint: Callable[..., RegisteredModel],
    make_chunk: Callable[..., int],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(CHECKPOINTS / "bert", folder)
    # Weights of its own: what other tests built of the checkpoint would answer, and the files would not be read.
    spoil(folder / "model.safetensors")
    model = add_checkpoint("mine", folder)
    weights = spoil(folder / "model.safetensors")
    run_chunk(context, make_chunk(model.id, [SomeReview("1", "good")]), score_chunks)
    with context.database.read() as connection:
        job = job_status(connection, 1)
    assert job.state == "failed"
    assert (job.error or "").startswith(f"ModelChanged: the files of mine@1 in {folder} are no longer those that were")
    assert predictions(context.database) == 0
    (folder / "model.safetensors").write_bytes(weights)
    run_chunk(context, make_chunk(model.id, [SomeReview("1", "good")]), score_chunks)
    assert predictions(context.database) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("engine", "state"), [("openvino", "done"), ("tensorflow", "failed")])
def test_what_was_built_of_the_right_files_answers_whatever_became_of_them(
    context: WorkerContext,
    add_checkpoint: Callable[..., RegisteredModel],
    make_chunk: Callable[..., int],
    tmp_path: Path,
    engine: str,
    state: str,
) -> None:
    folder = tmp_path / "bert"
    shutil.copytree(CHECKPOINTS / "bert", folder)
    model = add_checkpoint("mine", folder)
    settings = context.settings.model_copy(update={"engine": engine})
    LoadedModels(context.database, settings, "cpu@here").get(model.id)
    spoil(folder / "model.safetensors")
    context.models = LoadedModels(context.database, settings, "cpu@here")
    run_chunk(context, make_chunk(model.id, [SomeReview("1", "good")]), score_chunks)
    with context.database.read() as connection:
        assert job_status(connection, 1).state == state
