"""What a job came to is counted exactly, whatever its chunks went through: held against its predictions themselves."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select, update

from db.agreement import review_ids_in_order
from db.claims import Claim, claim_chunk, release_dead
from db.jobs import NewJob, cancel_job, create_job, job_status
from db.predictions import Scored, store_predictions
from db.registry import RegisteredModel
from db.results import label_counts, reading_counts
from db.retry import retry_job
from db.reviews import store_reviews
from db.suspects import split_chunk
from db.tables import Chunk, Job, JobCount, Prediction, Review
from tests.poison import WORD, make_poisoned_checkpoint
from tests.samples import SomeReview, verdict
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.lease import Heartbeat
from worker.scoring import score_chunks

TEXTS = ("A wonderful film.", "terrible", "good", "bad", "the plot is thin", f"the {WORD} fails", "not bad", "dull")
MakeJob = Callable[..., tuple[int, list[int]]]


@pytest.fixture
def model(add_checkpoint: Callable[..., RegisteredModel], tmp_path: Path) -> RegisteredModel:
    """It fails on the one text that has WORD."""
    return add_checkpoint("poisoned", make_poisoned_checkpoint(tmp_path / "poisoned"))


@pytest.fixture
def make_job(context: WorkerContext, model: RegisteredModel) -> MakeJob:
    """Make a job of four chunks of TEXTS, in which rows are repeated within a chunk and across chunks."""

    def make(source: str = "file.csv") -> tuple[int, list[int]]:
        reviews = [SomeReview(str(number), text) for number, text in enumerate(TEXTS)]
        with context.database.write() as connection:
            ids = store_reviews(connection, source, reviews)
            parts = [[*ids[:3], ids[0]], [*ids[3:6], ids[1]], ids[6:], [ids[2], ids[7], ids[7]]]
            return create_job(connection, NewJob("score", {}, parts, model_id=model.id))

    return make


def grouped(connection: Connection, job_id: int, column: str = "label") -> Counter[str]:
    """What the predictions say of the rows of the chunks that are done."""
    job = job_status(connection, job_id)
    said = select(Prediction.review_id, getattr(Prediction, column)).where(Prediction.model_id == job.model_id)
    by_review = dict(connection.execute(said).all())
    done = connection.scalars(select(Chunk.review_ids).where(Chunk.job_id == job_id, Chunk.state == "done"))
    return Counter(by_review[id_] for ids in done for id_ in ids if id_ in by_review)


def assert_exact(context: WorkerContext, job_id: int) -> None:
    with context.database.read() as connection:
        job = job_status(connection, job_id)
        assert label_counts(connection, job_id) == grouped(connection, job_id)
        assert reading_counts(connection, job_id) == grouped(connection, job_id, "reading")
        assert sum(label_counts(connection, job_id).values()) == job.scored + job.reused


def claim(context: WorkerContext, chunk_id: int, owner: str = "me") -> Claim:
    with context.database.write() as connection:
        held = claim_chunk(connection, chunk_id, owner, 60)
    assert held is not None
    return held


def run_all(context: WorkerContext) -> None:
    """Ring for free chunks, each as often as its attempt fails, until none is left."""
    for _ in range(20):
        with context.database.write() as connection:
            connection.execute(update(Chunk).values(next_attempt_at=None))
            free = connection.scalar(select(Chunk.id).where(Chunk.state == "pending").limit(1))
        if free is None:
            return
        run_chunk(context, free, score_chunks)
    raise AssertionError("it does not end")


def test_every_row_that_was_told_something_counts(context: WorkerContext, make_job: MakeJob) -> None:
    job_id, chunk_ids = make_job()
    with context.database.read() as connection:
        assert label_counts(connection, job_id) == {}
    for chunk_id in chunk_ids:
        run_chunk(context, chunk_id, score_chunks)
        assert_exact(context, job_id)
    with context.database.read() as connection:
        job = job_status(connection, job_id)
        assert (job.state, job.scored + job.reused, job.failed, job.total) == ("done", 12, 1, 13)
        assert len(label_counts(connection, job_id)) == 2, "a model that says one thing of all proves little"


def test_what_was_reused_counts_for_the_job_that_reused_it(context: WorkerContext, make_job: MakeJob) -> None:
    for source in ("file.csv", "file.csv", "other.csv"):
        job_id, _ = make_job(source)
        run_all(context)
        assert_exact(context, job_id)


def test_dead_workers_zombies_and_messages_that_come_twice_change_nothing(
    context: WorkerContext, make_job: MakeJob
) -> None:
    job_id, (first, *_) = make_job()
    zombie = claim(context, first, "doomed")
    with context.database.write() as connection:
        release_dead(connection, "doomed")

    def overtaken(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        heartbeat.claims = [zombie]
        score_chunks(context, [replace(zombie)], heartbeat)

    run_chunk(context, first, overtaken)
    assert_exact(context, job_id)
    for _ in range(2):
        run_all(context)
        run_chunk(context, first, score_chunks)
        assert_exact(context, job_id)


def test_a_chunk_that_is_split_counts_once(context: WorkerContext, make_job: MakeJob) -> None:
    job_id, (first, *_) = make_job()
    with context.database.write() as connection:
        held = claim_chunk(connection, first, "me", 60)
        assert held is not None
        split_chunk(connection, held, deaths_left=1)
    run_all(context)
    assert_exact(context, job_id)


def test_what_failed_counts_once_it_is_retried(context: WorkerContext, make_job: MakeJob) -> None:
    job_id, _ = make_job()
    run_all(context)
    with context.database.write() as connection:
        before = label_counts(connection, job_id)
        # What the model could not read is put right.
        connection.execute(update(Review).where(Review.text.contains(WORD)).values(text="the plot works"))
        assert retry_job(connection, job_id).rows == 1
    run_all(context)
    assert_exact(context, job_id)
    with context.database.read() as connection:
        assert sum(label_counts(connection, job_id).values()) == sum(before.values()) + 1 == 13


def test_a_chunk_that_failed_whole_counts_once_it_is_retried(context: WorkerContext, make_job: MakeJob) -> None:
    job_id, (first, *_) = make_job()

    def broken(*_: object) -> None:
        raise ValueError("oops")

    for _ in range(context.settings.max_attempts):
        run_chunk(context, first, broken)
        with context.database.write() as connection:
            connection.execute(update(Chunk).values(next_attempt_at=None))
    run_all(context)
    assert_exact(context, job_id)
    with context.database.write() as connection:
        assert job_status(connection, job_id).state == "failed"
        assert retry_job(connection, job_id).chunks > 0
    run_all(context)
    assert_exact(context, job_id)


def test_a_cancelled_job_has_what_was_done_by_then(context: WorkerContext, make_job: MakeJob) -> None:
    job_id, (first, *_) = make_job()
    with context.database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id != first).values(alone=True))
    run_chunk(context, first, score_chunks)

    def cancelled(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        with context.database.write() as connection:
            cancel_job(connection, job_id)
        score_chunks(context, claims, heartbeat)

    run_chunk(context, first, cancelled)
    assert_exact(context, job_id)
    with context.database.read() as connection:
        assert job_status(connection, job_id).state == "cancelled"
        assert sum(label_counts(connection, job_id).values()) == 4


def test_a_review_that_was_told_otherwise_than_others_with_its_text_counts_as_it_was_told(
    context: WorkerContext, make_job: MakeJob, model: RegisteredModel
) -> None:
    job_id, _ = make_job()
    with context.database.write() as connection:
        (other,) = store_reviews(connection, "other.csv", [SomeReview("x", "good")])
        mine = connection.scalar(select(Review.id).where(Review.text == "good", Review.id != other))
        told = [Scored(mine, job_id, verdict(0.9)), Scored(other, job_id, verdict(0.1))]
        store_predictions(connection, model.id, told)
    run_all(context)
    assert_exact(context, job_id)
    with context.database.write() as connection:
        again, _ = create_job(connection, NewJob("score", {}, [[other, mine, other]], model_id=model.id))
    run_all(context)
    with context.database.read() as connection:
        assert label_counts(connection, again) == {"negative": 2, "positive": 1}


def test_what_another_job_says_later_changes_no_count(
    context: WorkerContext, make_job: MakeJob, model: RegisteredModel
) -> None:
    job_id, _ = make_job()
    run_all(context)
    with context.database.write() as connection:
        before = label_counts(connection, job_id)
        other = connection.scalar(insert(Job).values(kind="score", model_id=model.id).returning(Job.id))
        reviews = set(review_ids_in_order(connection, job_id))
        store_predictions(connection, model.id, [Scored(id_, other, verdict(0.9)) for id_ in reviews])
        assert label_counts(connection, job_id) == before != grouped(connection, job_id)


def test_jobs_of_chunks_held_together_are_counted_each(context: WorkerContext, make_job: MakeJob) -> None:
    jobs = [make_job(source)[0] for source in ("a.csv", "b.csv", "c.csv")]
    run_all(context)
    for job_id in jobs:
        assert_exact(context, job_id)
    with context.database.read() as connection:
        assert connection.scalar(select(func.count(JobCount.job_id.distinct()))) == 3
