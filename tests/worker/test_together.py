"""Chunks that are scored as one, and each comes out as if it had been alone."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event, func, select

from db.claims import Claim, finish_chunk
from db.errors import DatabaseUnreachable
from db.jobs import JobStatus, NewJob, cancel_job, create_job, list_jobs, refused_rows, settle_job
from db.registry import RegisteredModel
from db.results import ResultFilter, find_results
from db.reviews import store_reviews
from db.tables import Chunk, Failure, Prediction
from tests.poison import WORD, make_poisoned_checkpoint
from tests.samples import CHECKPOINTS, SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.base import Batch
from worker.errors import StopRequested
from worker.lease import Heartbeat
from worker.models import LoadedModel
from worker.scoring import score_chunks

A_CLAIM = Claim(1, 1, "me", 1, "score", "normal", 1, {}, [1, 2, 3], 0, 0, alone=False, taken_along=False)

Add = Callable[..., RegisteredModel]
Make = Callable[..., int]


@dataclass
class Watched:
    """A real engine; what it is given is counted, and before its first batch something happens."""

    engine: object
    happen: Callable[[], None] = lambda: None
    reviews: int = 0
    batches: int = 0

    def logits(self, batch: Batch) -> np.ndarray:
        if not self.batches:
            self.happen()
        self.reviews += len(batch.token_ids)
        self.batches += 1
        return self.engine.logits(batch)  # type: ignore[attr-defined]


@pytest.fixture
def loaded(context: WorkerContext, add_checkpoint: Add) -> LoadedModel:
    return context.models.get(add_checkpoint("bert").id)


@pytest.fixture
def watch(context: WorkerContext, loaded: LoadedModel) -> Callable[..., Watched]:
    def engine(happen: Callable[[], None] = lambda: None) -> Watched:
        watched = Watched(loaded.engine, happen)
        context.models._places[loaded.record.id, "float32"].model = replace(loaded, engine=watched)
        return watched

    return engine


def jobs(context: WorkerContext) -> list[JobStatus]:
    with context.database.read() as connection:
        return sorted(list_jobs(connection), key=lambda job: job.id)


def chunks(context: WorkerContext) -> list[tuple]:
    """State, attempt, errors and deaths of every chunk."""
    with context.database.read() as connection:
        columns = (Chunk.state, Chunk.attempt, Chunk.errors, Chunk.deaths)
        return [tuple(row) for row in connection.execute(select(*columns).order_by(Chunk.id))]


def test_many_small_jobs_are_one_stream_of_batches_and_few_statements(
    context: WorkerContext, loaded: LoadedModel, watch: Callable[..., Watched], make_chunk: Make
) -> None:
    engine = watch()
    chunk_ids = [make_chunk(loaded.record.id, [SomeReview(str(n), f"a wonderful film {n}")]) for n in range(40)]
    said: list[str] = []
    event.listen(context.database.engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    run_chunk(context, chunk_ids[0], score_chunks)
    claims_and_ends = [one for one in said if one.startswith(("UPDATE chunks", "UPDATE jobs", "INSERT"))]
    assert len(claims_and_ends) < 12
    assert engine.batches < 10
    assert [(job.state, job.scored, job.reused, job.failed) for job in jobs(context)] == [("done", 1, 0, 0)] * 40
    assert chunks(context) == [("done", 1, 0, 0)] * 40
    # Their own messages find nothing to do.
    for chunk_id in chunk_ids[1:]:
        run_chunk(context, chunk_id, score_chunks)
    assert engine.reviews == 40
    assert chunks(context) == [("done", 1, 0, 0)] * 40


def test_each_gets_the_pipelines_numbers_for_its_own_text(
    context: WorkerContext, loaded: LoadedModel, make_chunk: Make
) -> None:
    rows = json.loads((CHECKPOINTS / "bert" / "reference.json").read_text())["rows"]
    reviews = [SomeReview(str(number), row["text"], row["pair"]) for number, row in enumerate(rows)]
    chunk_ids = [make_chunk(loaded.record.id, [review]) for review in reviews]
    run_chunk(context, chunk_ids[0], score_chunks)
    with context.database.read() as connection:
        found = {one.external_id: one for one in find_results(connection, ResultFilter())}
    assert len(found) == len(rows)
    for number, row in enumerate(rows):
        assert found[str(number)].probabilities == pytest.approx(row["probabilities"], abs=1e-5)


def test_a_text_of_two_chunks_is_inferred_once(
    context: WorkerContext, loaded: LoadedModel, watch: Callable[..., Watched], make_chunk: Make
) -> None:
    engine = watch()
    first = make_chunk(loaded.record.id, [SomeReview("1", "good"), SomeReview("2", "bad")])
    make_chunk(loaded.record.id, [SomeReview("1", "good"), SomeReview("3", "bad")])
    run_chunk(context, first, score_chunks)
    assert engine.reviews == 2
    assert [(job.scored, job.reused) for job in jobs(context)] == [(2, 0), (0, 2)]
    with context.database.read() as connection:
        effort = connection.execute(select(Chunk.tokens, Chunk.device).order_by(Chunk.id)).all()
        written = connection.scalars(select(Prediction.job_id).order_by(Prediction.review_id))
        assert list(written) == [1, 1, 2]
    # What inferring took is charged once.
    assert effort[0].tokens > 0
    assert effort[1].tokens == 0


def test_one_that_is_cancelled_takes_nothing_from_the_others(
    context: WorkerContext, loaded: LoadedModel, watch: Callable[..., Watched], make_chunk: Make
) -> None:
    # Its text is the others' too: they must not count on what is not written.
    chunk_ids = [
        make_chunk(loaded.record.id, [SomeReview("1", "good"), SomeReview(f"own {n}", f"{n}")]) for n in range(3)
    ]

    def cancel() -> None:
        with context.database.write() as connection:
            cancel_job(connection, 1)

    watch(cancel)
    run_chunk(context, chunk_ids[0], score_chunks)
    assert [(job.state, job.scored, job.reused) for job in jobs(context)] == [
        ("cancelled", 0, 0),
        ("done", 2, 0),
        ("done", 1, 1),
    ]
    with context.database.read() as connection:
        assert sorted(connection.scalars(select(Prediction.job_id))) == [2, 2, 3]


def test_poison_is_a_failure_of_its_own_job_only(
    context: WorkerContext, add_checkpoint: Add, make_chunk: Make, tmp_path: Path
) -> None:
    poisoned = add_checkpoint("poisoned", make_poisoned_checkpoint(tmp_path / "poisoned"))
    texts = ["a wonderful film", f"a {WORD} film", "a terrible film"]
    chunk_ids = [make_chunk(poisoned.id, [SomeReview(text, text)]) for text in texts]
    run_chunk(context, chunk_ids[0], score_chunks)
    assert [(job.state, job.scored, job.failed) for job in jobs(context)] == [
        ("done", 1, 0),
        ("done", 0, 1),
        ("done", 1, 0),
    ]
    with context.database.read() as connection:
        (failure,) = refused_rows(connection, 2)
        assert connection.scalar(select(func.count()).select_from(Failure)) == 1
    assert failure["external_id"] == texts[1]


def test_an_order_to_stop_gives_all_back(
    context: WorkerContext, loaded: LoadedModel, watch: Callable[..., Watched], make_chunk: Make
) -> None:
    watch(context.stopping.set)
    # Two batches, so that there is one left to be stopped before.
    first = make_chunk(loaded.record.id, [SomeReview("long", "wonderful " * 300)])
    for n in range(5):
        make_chunk(loaded.record.id, [SomeReview(str(n), f"good {n}")])
    run_chunk(context, first, score_chunks)
    assert chunks(context) == [("pending", 1, 0, 0)] * 6
    context.stopping.clear()
    run_chunk(context, first, score_chunks)
    assert chunks(context) == [("done", 2, 0, 0)] * 6


@pytest.fixture
def make_large(context: WorkerContext, loaded: LoadedModel) -> Callable[[int], list[int]]:
    """A job of so many chunks, each of which is a full one to this worker; returns their ids."""
    context.settings.chunk_size = 4

    def make(count: int) -> list[int]:
        with context.database.write() as connection:
            reviews = [SomeReview(f"{number}", f"a film {number}") for number in range(3 * count)]
            ids = store_reviews(connection, "large.csv", reviews)
            parts = [ids[at : at + 3] for at in range(0, len(ids), 3)]
            return create_job(connection, NewJob("score", {}, parts, model_id=loaded.record.id))[1]

    return make


def test_full_chunks_of_a_job_go_together_once_one_was_done_in_a_moment(
    context: WorkerContext, make_large: Callable[[int], list[int]]
) -> None:
    first, *_ = make_large(4)
    run_chunk(context, first, score_chunks)
    assert [state for state, *_ in chunks(context)] == ["done", "pending", "pending", "pending"]
    # However long the first one took on this machine, which loaded the model for it.
    context.strides.note([replace(A_CLAIM, job_id=1)], 3, 0.01)
    run_chunk(context, first, score_chunks)
    assert [state for state, *_ in chunks(context)] == ["done", "done", "done", "pending"]
    assert [(job.scored, job.failed) for job in jobs(context)] == [(9, 0)]


def test_what_a_chunk_took_is_noted_for_its_job(
    context: WorkerContext, watch: Callable[..., Watched], make_large: Callable[[int], list[int]]
) -> None:
    noted: list[tuple[list[int], int]] = []
    context.strides.note = lambda claims, inferred, seconds: noted.append(  # type: ignore[method-assign]
        ([claim.chunk_id for claim in claims], inferred * (seconds > 0))
    )
    watch()
    first, second = make_large(2)
    run_chunk(context, first, score_chunks)
    run_chunk(context, first, score_chunks)
    assert noted == [([first], 3), ([second], 3)]


def test_of_full_chunks_that_are_given_back_each_is_rung_for(
    context: WorkerContext,
    make_large: Callable[[int], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rung: list[int] = []
    monkeypatch.setattr("worker.chunks.ring", lambda _app, rings: rung.extend(one.chunk_id for one in rings))
    chunk_ids = make_large(3)
    context.strides.note([replace(A_CLAIM, job_id=1)], 3, 0.01)

    def stop(context: WorkerContext, claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        assert [claim.chunk_id for claim in claims] == chunk_ids[:2]
        raise StopRequested

    run_chunk(context, chunk_ids[0], stop)
    assert rung == chunk_ids[:2]
    assert chunks(context) == [("pending", 1, 0, 0), ("pending", 1, 0, 0), ("pending", 0, 0, 0)]


def failing(guilty: int) -> Callable[[WorkerContext, Sequence[Claim], Heartbeat], None]:
    """Work that fails where that chunk is among those worked on, and ends each where it is not."""

    def work(context: WorkerContext, claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        if guilty in [claim.chunk_id for claim in claims]:
            raise RuntimeError("the model sneezed")
        with context.database.write() as connection:
            for claim in claims:
                finish_chunk(connection, claim, scored=1)
                settle_job(connection, claim.job_id)

    return work


def test_an_error_counts_against_the_chunk_that_makes_it_alone(
    context: WorkerContext, add_checkpoint: Add, make_chunk: Make
) -> None:
    model = add_checkpoint("bert")
    context.settings.max_attempts = 1  # the first error of its own is the last
    chunk_ids = [make_chunk(model.id, [SomeReview(str(n), f"text {n}")]) for n in range(4)]
    run_chunk(context, chunk_ids[0], failing(chunk_ids[2]))
    done = ("done", 1, 0, 0)
    assert chunks(context) == [done, done, ("failed", 1, 1, 0), done]
    assert [job.state for job in jobs(context)] == ["done", "done", "failed", "done"]


def test_what_the_machine_does_puts_all_off_and_counts_for_none(
    context: WorkerContext, add_checkpoint: Add, make_chunk: Make
) -> None:
    model = add_checkpoint("bert")
    chunk_ids = [make_chunk(model.id, [SomeReview(str(n), f"text {n}")]) for n in range(3)]
    worked: list[int] = []

    def away(_context: WorkerContext, claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        worked.append(len(claims))
        raise DatabaseUnreachable("the database is away")

    run_chunk(context, chunk_ids[0], away)
    assert worked == [3]
    assert chunks(context) == [("pending", 1, 0, 0)] * 3
    with context.database.read() as connection:
        assert None not in list(connection.scalars(select(Chunk.next_attempt_at)))
