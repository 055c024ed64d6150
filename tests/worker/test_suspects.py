"""A chunk that cost too many workers is not worked on again before it is split, quarantined or given up."""

from collections.abc import Callable, Sequence

from sqlalchemy import select, update

from db.claims import Claim
from db.jobs import NewJob, create_job, job_status, refused_rows
from db.tables import Chunk
from tests.samples import SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.lease import Heartbeat

Make = Callable[..., int]


def unwanted(_context: WorkerContext, _claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
    raise AssertionError("a suspect chunk was worked on")


def die(context: WorkerContext, deaths: int) -> None:
    with context.database.write() as connection:
        connection.execute(update(Chunk).values(deaths=deaths))


def test_it_is_split(context: WorkerContext, make_chunk: Make) -> None:
    chunk_id = make_chunk(None, [SomeReview(str(number), f"text {number}") for number in range(5)])
    die(context, context.settings.max_attempts)
    run_chunk(context, chunk_id, unwanted)
    with context.database.read() as connection:
        halves = connection.execute(select(Chunk.state, Chunk.size, Chunk.deaths).order_by(Chunk.id)).all()
    assert [tuple(half) for half in halves] == [("pending", 3, 1), ("pending", 2, 1)]


def test_one_review_is_quarantined(context: WorkerContext, make_chunk: Make) -> None:
    chunk_id = make_chunk(None, [SomeReview("killer", "text")])
    die(context, context.settings.max_attempts)
    run_chunk(context, chunk_id, unwanted)
    with context.database.read() as connection:
        job = job_status(connection, 1)
        (failure,) = refused_rows(connection, 1)
    assert (job.state, job.failed) == ("done", 1)
    assert (failure["external_id"], failure["stage"]) == ("killer", "score")
    assert "the worker died 2 times while scoring this review alone" in failure["reason"]


def test_training_is_given_up(context: WorkerContext) -> None:
    with context.database.write() as connection:
        _, (chunk_id,) = create_job(connection, NewJob("finetune", {}, [[]]))
    die(context, context.settings.max_attempts)
    run_chunk(context, chunk_id, unwanted)
    with context.database.read() as connection:
        job = job_status(connection, 1)
    assert job.state == "failed"
    assert "died 2 times while training" in job.error


def test_fewer_deaths_change_nothing(context: WorkerContext, make_chunk: Make) -> None:
    chunk_id = make_chunk(None, [SomeReview("1", "text"), SomeReview("2", "other")])
    die(context, context.settings.max_attempts - 1)
    worked: list[int] = []
    run_chunk(context, chunk_id, lambda context, claims, heartbeat: worked.append(claims[0].chunk_id))
    assert worked == [chunk_id]
