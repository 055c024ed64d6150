"""Ordinary chunks work beside each other; one that a worker died over works alone."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from db.claims import Claim, finish_chunk
from db.clock import utc_now
from db.jobs import settle_job
from db.tables import Chunk
from tests.samples import SomeReview
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.lease import Heartbeat
from worker.turns import Turns

Make = Callable[..., int]
#: Long enough for a thread to come where it must not; a slow machine only lets a wrong program pass.
_WHILE_S = 0.3


class Work:
    """Work that begins, and ends when it is told to."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, context: WorkerContext, claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        (claim,) = claims
        self.began.set()
        assert self.may_end.wait(20)
        with context.database.write() as connection:
            finish_chunk(connection, claim, scored=1)
            settle_job(connection, claim.job_id)


def states(context: WorkerContext) -> list[str]:
    with context.database.read() as connection:
        return list(connection.scalars(select(Chunk.state).order_by(Chunk.id)))


@pytest.fixture
def chunk_ids(context: WorkerContext, make_chunk: Make) -> list[int]:
    """Three chunks of one review, none of which is so small that it is worked on together with others."""
    context.settings = context.settings.model_copy(update={"chunk_size": 1})
    return [make_chunk(None, [SomeReview(str(number), f"text {number}")], f"{number}.csv") for number in range(3)]


def died_over(context: WorkerContext, chunk_id: int) -> None:
    with context.database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(deaths=1))


def lease_ran_out(context: WorkerContext, chunk_id: int) -> None:
    run_out = {"state": "leased", "lease_owner": "dead", "lease_expires_at": utc_now(-1)}
    with context.database.write() as connection:
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(run_out))


@pytest.mark.parametrize("become_suspect", [died_over, lease_ran_out])
def test_a_suspect_has_the_process_to_itself(
    context: WorkerContext, chunk_ids: list[int], become_suspect: Callable[[WorkerContext, int], None]
) -> None:
    before, suspect, after = chunk_ids
    become_suspect(context, suspect)
    works = {chunk_id: Work() for chunk_id in chunk_ids}

    def run(chunk_id: int) -> Future[None]:
        return pool.submit(run_chunk, context, chunk_id, works[chunk_id])

    with ThreadPoolExecutor(3) as pool:
        running = [run(before)]
        assert works[before].began.wait(20)
        running.append(run(suspect))
        assert not works[suspect].began.wait(_WHILE_S)
        running.append(run(after))
        # Ordinary work that comes later does not keep the suspect waiting for ever, nor is it claimed meanwhile.
        assert not works[after].began.wait(_WHILE_S)
        works[before].may_end.set()
        assert works[suspect].began.wait(20)
        assert not works[after].began.wait(_WHILE_S)
        assert states(context) == ["done", "leased", "pending"]
        works[suspect].may_end.set()
        works[after].may_end.set()
        for one in running:
            one.result(20)
    assert states(context) == ["done", "done", "done"]


def test_ordinary_chunks_work_beside_each_other(context: WorkerContext, chunk_ids: list[int]) -> None:
    works = [Work() for _ in chunk_ids]
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(run_chunk, context, *pair) for pair in zip(chunk_ids, works, strict=True)]
        assert all(work.began.wait(20) for work in works)
        for work in works:
            work.may_end.set()
        for one in running:
            one.result(20)
    assert states(context) == ["done", "done", "done"]


def test_work_that_fails_gives_its_turn_up() -> None:
    turns = Turns()
    for turn in (turns.alone, turns.beside_others, turns.alone):
        with pytest.raises(RuntimeError), turn():
            raise RuntimeError
    with turns.beside_others(), turns.beside_others():
        pass


def test_who_waits_for_a_turn_when_the_worker_stops_claims_nothing(
    context: WorkerContext, chunk_ids: list[int]
) -> None:
    died_over(context, chunk_ids[1])
    first, suspect = Work(), Work()
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(run_chunk, context, chunk_ids[0], first)]
        assert first.began.wait(20)
        running.append(pool.submit(run_chunk, context, chunk_ids[1], suspect))
        context.stopping.set()
        first.may_end.set()
        for one in running:
            one.result(20)
    assert states(context) == ["done", "pending", "pending"]
    assert not suspect.began.is_set()
