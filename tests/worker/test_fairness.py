"""A worker that hears the messages of a large job serves others in their turn, and drops no message too many."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select

from db.claims import Claim, finish_chunk
from db.jobs import NewJob, create_job, settle_job
from db.registry import RegisteredModel
from db.reviews import store_reviews
from db.tables import Chunk, Job
from tests.samples import SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.lease import Heartbeat

Enqueue = Callable[..., list[int]]
#: Reviews of a chunk of a large job, and the room that small ones share.
_LARGE = 10


@pytest.fixture
def enqueue(context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel]) -> Enqueue:
    """Make a job of so many chunks of one model; return the chunks' ids, for each of which a message is under way."""
    context.settings = context.settings.model_copy(update={"chunk_size": _LARGE})
    model = add_checkpoint("bert")

    def make(chunks: int, size: int = _LARGE, priority: str = "normal") -> list[int]:
        with context.database.write() as connection:
            ids = store_reviews(connection, "f.csv", [SomeReview(str(n), f"text {n}") for n in range(size)])
            new = NewJob("score", {}, [ids] * chunks, model_id=model.id, priority=priority)
            return create_job(connection, new)[1]

    return make


class Served:
    """Work that ends its chunks at once, and keeps the jobs in the order in which they were served."""

    def __init__(self) -> None:
        self.jobs: list[tuple[int, ...]] = []

    def __call__(self, context: WorkerContext, claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        self.jobs.append(tuple(claim.job_id for claim in claims))
        with context.database.write() as connection:
            for claim in claims:
                finish_chunk(connection, claim, scored=len(claim.review_ids))
                settle_job(connection, claim.job_id)


def states(context: WorkerContext) -> list[str]:
    with context.database.read() as connection:
        return list(connection.scalars(select(Job.state).order_by(Job.id)))


def test_messages_in_the_order_of_the_jobs_serve_the_jobs_in_turn(context: WorkerContext, enqueue: Enqueue) -> None:
    rung = [*enqueue(6), *enqueue(2), *enqueue(1, priority="high"), *enqueue(1)]
    served = Served()
    for chunk_id in rung:
        run_chunk(context, chunk_id, served)
    assert served.jobs == [(3,), (1,), (2,), (4,), (1,), (2,), (1,), (1,), (1,), (1,)]
    assert states(context) == ["done"] * 4


def test_small_jobs_share_one_turn(context: WorkerContext, enqueue: Enqueue) -> None:
    large = enqueue(5)
    for _ in range(4):
        enqueue(1, size=2)
    served = Served()
    for chunk_id in large[:3]:
        run_chunk(context, chunk_id, served)
    assert served.jobs == [(1,), (2, 3, 4, 5), (1,)]


def test_as_many_messages_are_left_as_chunks(context: WorkerContext, enqueue: Enqueue) -> None:
    """Of those held together all messages but one are dropped, of a chunk that another's message served none."""
    large, small = enqueue(3), [enqueue(1, size=2)[0] for _ in range(3)]
    heard: list[int] = []
    served = Served()

    def work(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        served(context, claims, heartbeat)
        # Another thread hears meanwhile.
        if not heard:
            heard.append(large[0])
            run_chunk(context, large[0], work)
        elif len(heard) == 1:
            heard.extend(small)
            for chunk_id in small:
                run_chunk(context, chunk_id, work)

    # Three messages serve the large job's first chunk, the small ones together, and, since only two of the small ones'
    # messages are dropped, the large job's second.
    run_chunk(context, large[1], work)
    assert served.jobs == [(1,), (2, 3, 4), (1,)]
    run_chunk(context, large[2], work)
    assert served.jobs[3:] == [(1,)]
    assert states(context) == ["done"] * 4


def test_a_message_that_comes_too_often_costs_no_chunk_an_attempt(context: WorkerContext, enqueue: Enqueue) -> None:
    rung = [*enqueue(2), *enqueue(1)]
    served = Served()
    for chunk_id in rung * 3:
        run_chunk(context, chunk_id, served)
    assert served.jobs == [(1,), (2,), (1,)]
    with context.database.read() as connection:
        assert list(connection.scalars(select(Chunk.attempt))) == [1, 1, 1]


def test_a_chunk_left_over_by_a_cancelled_job_is_cancelled_by_its_message(
    context: WorkerContext, enqueue: Enqueue
) -> None:
    (left_over,) = enqueue(1)
    with context.database.write() as connection:
        connection.execute(Job.__table__.update().values(state="cancelled"))
    served = Served()
    run_chunk(context, left_over, served)
    assert served.jobs == []
    with context.database.read() as connection:
        assert list(connection.scalars(select(Chunk.state))) == ["cancelled"]
