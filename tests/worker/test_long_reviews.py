"""Reviews that are longer than their model takes, from the job to the prediction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select
from transformers import AutoTokenizer

from db.claims import Claim
from db.jobs import JobStatus, NewJob, create_job, job_status, list_jobs, refused_rows
from db.registry import RegisteredModel
from db.results import Result, ResultFilter, find_results
from db.reviews import store_reviews
from db.tables import Chunk, Prediction
from tests.poison import WORD, make_poisoned_checkpoint
from tests.samples import CHECKPOINTS, SomeReview
from worker.batching import BatchCutter
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.base import Batch, BatchCosts
from worker.lease import Heartbeat
from worker.models import LoadedModel
from worker.scoring import score_chunks

Add = Callable[..., RegisteredModel]
#: Of the small checkpoints none takes more than 64 tokens.
LONG = "It broke after a week, sadly; I will not buy from them again. " * 12
SHORT = "A wonderful film."
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

Enqueue = Callable[..., int]
Score = Callable[..., JobStatus]


@pytest.fixture
def enqueue(context: WorkerContext) -> Enqueue:
    """Make a job of one chunk, which asks for long texts to be read in a way; returns the chunk's id."""

    def make(model: RegisteredModel, reviews: Sequence[SomeReview], long: str | None, source: str = "file.csv") -> int:
        params = {"source": source} | ({"long": long} if long is not None else {})
        with context.database.write() as connection:
            ids = store_reviews(connection, source, reviews)
            return create_job(connection, NewJob("score", params, [ids], model_id=model.id))[1][0]

    return make


@pytest.fixture
def score(context: WorkerContext, enqueue: Enqueue) -> Score:
    """Make such a job and do it; returns how it ended."""

    def run(*job: Any, **more: Any) -> JobStatus:
        run_chunk(context, enqueue(*job, **more), score_chunks)
        return jobs(context)[-1]

    return run


def jobs(context: WorkerContext) -> list[JobStatus]:
    with context.database.read() as connection:
        return sorted(list_jobs(connection), key=lambda job: job.id)


def results(context: WorkerContext) -> dict[str, Result]:
    """What is known of each review, under its source's name and its own."""
    with context.database.read() as connection:
        found = list(find_results(connection, ResultFilter()))
    return {f"{one.source}:{one.external_id}": one for one in found}


def values(logits: np.ndarray, problem_type: str) -> np.ndarray:
    """Softmax, sigmoid or neither, as their definitions say, of logits [classes]."""
    powers = np.exp(logits.astype(np.float64))
    if problem_type == "single_label_classification":
        return powers / powers.sum()
    return powers / (1 + powers) if problem_type == "multi_label_classification" else logits.astype(np.float64)


def expected(loaded: LoadedModel, directory: Path, text: str, pair: str | None) -> tuple[np.ndarray, int, int]:
    """What to say of a text, from the windows of transformers, each inferred alone; the windows, and their tokens."""
    theirs, limit = AutoTokenizer.from_pretrained(str(directory)), loaded.record.max_tokens
    taken = len(theirs(pair, add_special_tokens=False)["input_ids"]) if pair else 0
    room = limit - theirs.num_special_tokens_to_add(pair=bool(pair)) - taken
    windows = theirs(
        text, pair, truncation="only_first", max_length=limit, stride=room // 2, return_overflowing_tokens=True
    )
    rest = len(theirs(text, add_special_tokens=False)["input_ids"])
    total, sums = rest, np.zeros(len(loaded.record.labels))
    for number, ids in enumerate(windows["input_ids"]):
        tokens = np.array([ids], np.int32)
        segments = np.array([windows["token_type_ids"][number]] if "token_type_ids" in windows else [[0] * len(ids)])
        batch = Batch(tokens, segments.astype(np.int32), np.ones_like(tokens))
        new = min(rest, room if number == 0 else room - room // 2)
        sums += new * values(loaded.engine.logits(batch)[0], loaded.record.problem_type)
        rest -= new
    assert rest == 0
    return sums / total, len(windows["input_ids"]), sum(map(len, windows["input_ids"]))


@ON_SQLITE
@pytest.mark.parametrize(
    "name", ["bert", "distilbert", "roberta", "xlm-roberta", "albert", "roberta-multi-label", "bert-regression"]
)
def test_of_windows_the_mean_of_what_is_said_of_each(
    context: WorkerContext, add_checkpoint: Add, score: Score, name: str
) -> None:
    model = add_checkpoint(name)
    pair = "Not bad."
    reviews = [SomeReview("long", LONG), SomeReview("pair", LONG + "!", pair), SomeReview("short", SHORT)]
    job = score(model, reviews, "window")
    assert (job.state, job.scored, job.failed) == ("done", 3, 0)
    found, loaded = results(context), context.models.get(model.id)
    for review in reviews[:2]:
        means, windows, tokens = expected(loaded, CHECKPOINTS / name, review.text, review.pair)
        one = found[f"file.csv:{review.external_id}"]
        assert list(one.probabilities.values()) == pytest.approx(means.tolist(), abs=1e-5)
        assert one.label == model.labels[int(means.argmax())]
        assert one.score == max(one.probabilities.values())
        assert (one.reading, one.windows, one.truncated, one.tokens) == ("window", windows, False, tokens)
        assert windows > 5
    short = found["file.csv:short"]
    assert (short.reading, short.windows, short.truncated) == ("whole", 1, False)
    # What the device read is what the predictions say was read.
    with context.database.read() as connection:
        read = connection.scalar(select(Chunk.tokens).order_by(Chunk.id.desc()))
        assert read == connection.scalar(select(func.sum(Prediction.tokens)))


@ON_SQLITE
def test_head_and_tail_are_read_as_one(context: WorkerContext, add_checkpoint: Add, score: Score) -> None:
    model = add_checkpoint("bert")
    score(model, [SomeReview("long", LONG)], "head-tail")
    theirs, loaded = AutoTokenizer.from_pretrained(str(CHECKPOINTS / "bert")), context.models.get(model.id)
    first, *bare, last = theirs(LONG)["input_ids"]
    ids = np.array([[first, *bare[:15], *bare[-47:], last]], np.int32)
    logits = loaded.engine.logits(Batch(ids, np.zeros_like(ids), np.ones_like(ids)))
    (one,) = results(context).values()
    assert list(one.probabilities.values()) == pytest.approx(values(logits[0], model.problem_type).tolist(), abs=1e-5)
    assert (one.reading, one.windows, one.truncated, one.tokens) == ("head-tail", 1, True, 64)


def counted(job: JobStatus) -> tuple[int, int]:
    assert job.state == "done", job.error
    return job.scored, job.reused


def test_another_reading_is_asked_for_what_did_not_fit_and_only_for_that(
    context: WorkerContext, add_checkpoint: Add, score: Score
) -> None:
    model = add_checkpoint("bert")
    reviews = [SomeReview("short", SHORT), SomeReview("long", LONG), SomeReview("longer", LONG + LONG)]
    assert counted(score(model, reviews, None)) == (3, 0)
    cut = results(context)
    assert counted(score(model, reviews, "truncate")) == (0, 3)
    assert counted(score(model, reviews, "window")) == (2, 1)
    windows = results(context)
    assert [windows[f"file.csv:{name}"].reading for name in ("short", "long", "longer")] == [
        "whole",
        "window",
        "window",
    ]
    assert windows["file.csv:long"].probabilities != cut["file.csv:long"].probabilities
    assert windows["file.csv:short"] == cut["file.csv:short"]
    assert counted(score(model, reviews, "window")) == (0, 3)
    assert results(context) == windows
    assert counted(score(model, reviews, "head-tail")) == (2, 1)
    assert counted(score(model, reviews, "truncate")) == (2, 1)
    again = results(context)
    assert again["file.csv:long"].probabilities == pytest.approx(cut["file.csv:long"].probabilities, abs=1e-6)
    with context.database.read() as connection:
        written = connection.execute(select(Prediction.job_id, Prediction.reading).order_by(Prediction.job_id))
        # Each is kept once, with the job that wrote it last.
        assert [tuple(row) for row in written] == [(1, "whole"), (6, "truncate"), (6, "truncate")]


def test_a_text_that_was_read_alike_elsewhere_is_reused_over_what_was_read_otherwise(
    context: WorkerContext, add_checkpoint: Add, score: Score
) -> None:
    model, reviews = add_checkpoint("bert"), [SomeReview("1", LONG)]
    assert counted(score(model, reviews, "truncate", source="a.csv")) == (1, 0)
    assert counted(score(model, reviews, "window", source="b.csv")) == (1, 0)
    assert counted(score(model, reviews, "window", source="a.csv")) == (0, 1)
    found = results(context)
    assert [(one.reading, one.windows > 1) for one in found.values()] == [("window", True)] * 2
    assert found["a.csv:1"].probabilities == found["b.csv:1"].probabilities


def test_small_chunks_together_are_read_alike(context: WorkerContext, add_checkpoint: Add, enqueue: Enqueue) -> None:
    model, reviews = add_checkpoint("bert"), [SomeReview("1", LONG), SomeReview("2", SHORT)]
    orders = ["window", "truncate", "window", None, "head-tail"]
    chunk_ids = [enqueue(model, reviews, long, source=f"{number}.csv") for number, long in enumerate(orders)]
    run_chunk(context, chunk_ids[0], score_chunks)
    assert [job.state for job in jobs(context)] == ["done", "pending", "done", "pending", "pending"]
    run_chunk(context, chunk_ids[1], score_chunks)
    assert [job.state for job in jobs(context)] == ["done", "done", "done", "done", "pending"]
    run_chunk(context, chunk_ids[4], score_chunks)
    assert [(job.scored, job.reused) for job in jobs(context)] == [(2, 0), (1, 1), (0, 2), (0, 2), (1, 1)]
    found = results(context)
    readings = [found[f"{number}.csv:1"].reading for number in range(5)]
    assert readings == ["window", "truncate", "window", "truncate", "head-tail"]
    assert {found[f"{number}.csv:2"].reading for number in range(5)} == {"whole"}


def test_the_same_review_in_two_readings_is_kept_as_it_was_read_last(
    context: WorkerContext, add_checkpoint: Add, enqueue: Enqueue
) -> None:
    model, reviews = add_checkpoint("bert"), [SomeReview("1", LONG)]
    first, second = (enqueue(model, reviews, long) for long in ("window", "truncate"))
    run_chunk(context, first, score_chunks)
    assert [one.reading for one in results(context).values()] == ["window"]
    run_chunk(context, second, score_chunks)
    assert [(one.reading, one.windows) for one in results(context).values()] == [("truncate", 1)]
    assert [counted(job) for job in jobs(context)] == [(1, 0), (1, 0)]


@pytest.fixture
def poisoned(add_checkpoint: Add, tmp_path: Path) -> RegisteredModel:
    return add_checkpoint("poisoned", make_poisoned_checkpoint(tmp_path / "poisoned"))


@ON_SQLITE
def test_a_window_that_fails_fails_its_review_alone(
    context: WorkerContext, poisoned: RegisteredModel, add_checkpoint: Add, score: Score
) -> None:
    reviews = [SomeReview(str(number), f"{number} {LONG}") for number in range(8)]
    spoiled = [*reviews, SomeReview("bad", f"{LONG} {WORD} {LONG}"), SomeReview("short", SHORT)]
    job = score(poisoned, spoiled, "window")
    assert (job.state, job.scored, job.failed) == ("done", 9, 1)
    with context.database.read() as connection:
        (failure,) = refused_rows(connection, job.id)
    assert failure["external_id"] == "bad"
    assert "fails on this review alone" in failure["reason"]
    beside = results(context)
    score(add_checkpoint("bert"), reviews, "window", source="again.csv")
    alone = results(context)
    for number in range(8):
        one, other = beside[f"file.csv:{number}"], alone[f"again.csv:{number}"]
        assert (one.windows, one.tokens) == (other.windows, other.tokens)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


@ON_SQLITE
def test_a_long_review_that_fails_in_every_window_is_not_the_models_fault(
    context: WorkerContext, poisoned: RegisteredModel, score: Score
) -> None:
    # The longest go first: its windows all fail before anything is scored.
    job = score(poisoned, [SomeReview("bad", f"{WORD} " * 1_500), SomeReview("short", SHORT)], "window")
    assert (job.state, job.scored, job.failed) == ("done", 1, 1)


@dataclass
class Small:
    """A real engine on a device that takes so many tokens, and remembers what it was given."""

    engine: Any
    tokens: int
    batches: list[int] = field(default_factory=list)

    def logits(self, batch: Batch) -> np.ndarray:
        self.batches.append(batch.token_ids.size)
        if batch.token_ids.size > self.tokens:
            raise MemoryError("no room for so many tokens")
        return self.engine.logits(batch)  # type: ignore[no-any-return]


@ON_SQLITE
def test_windows_fill_batches_and_go_on_in_smaller_ones(
    context: WorkerContext, add_checkpoint: Add, score: Score
) -> None:
    model = add_checkpoint("bert")
    loaded = context.models.get(model.id)
    small = Small(loaded.engine, tokens=10_000)
    context.models._places[model.id, "float32"].model = replace(loaded, engine=small, cutter=BatchCutter(BatchCosts()))
    job = score(model, [SomeReview(str(number), f"{number} {LONG}") for number in range(10)], "window")
    assert (job.state, job.scored) == ("done", 10)
    # 512 tokens are eight windows of 64: reviews share batches, and no batch has to end with its review.
    assert sum(small.batches) / len(small.batches) > 0.9 * 512
    before = results(context)["file.csv:3"]
    small.tokens = 200
    job = score(model, [SomeReview(str(number), f"{number} {LONG}") for number in range(10)], "truncate")
    job = score(model, [SomeReview(str(number), f"{number} {LONG}") for number in range(10)], "window")
    assert (job.state, job.scored, job.failed) == ("done", 10, 0)
    assert loaded.budget.tokens <= 200
    assert results(context)["file.csv:3"].probabilities == pytest.approx(before.probabilities, abs=1e-5)


@ON_SQLITE
def test_progress_is_told_in_reviews(context: WorkerContext, add_checkpoint: Add, enqueue: Enqueue) -> None:
    chunk_id = enqueue(add_checkpoint("bert"), [SomeReview(str(n), f"{n} {LONG}") for n in range(10)], "window")
    told: list[int] = []

    def watched(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        check = heartbeat.check
        heartbeat.check = lambda: (told.append(heartbeat.done), check())[1]  # type: ignore[method-assign]
        score_chunks(context, claims, heartbeat)

    run_chunk(context, chunk_id, watched)
    assert len(told) > 5
    assert told == sorted(told)
    assert told[0] == 0
    assert 7 <= told[-1] <= 10


def test_an_order_of_another_version_fails_the_job_in_one_line(
    context: WorkerContext, add_checkpoint: Add, score: Score
) -> None:
    job = score(add_checkpoint("bert"), [SomeReview("1", SHORT)], "sideways")
    assert job.state == "failed"
    assert job.error == (
        "UnknownReading: long texts can be read in these ways: truncate, head-tail, window; not 'sideways'"
    )
    with context.database.read() as connection:
        assert job_status(connection, job.id).scored == 0
