"""Whatever happens to a chunk's work is written down."""

import errno
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select, update

from db.claims import Claim, finish_chunk
from db.clock import utc_now
from db.database import Database
from db.errors import DatabaseUnreachable, ModelMissing, StoreUnreachable
from db.jobs import job_status, settle_job
from db.tables import Chunk
from tests.samples import SomeReview
from worker.chunks import Work, _pause_s, run_chunk
from worker.context import WorkerContext
from worker.errors import StopRequested, reason_of
from worker.lease import Heartbeat


@pytest.fixture
def chunk_id(make_chunk: Callable[..., int]) -> int:
    return make_chunk(None, [SomeReview("1", "good")])


def state(database: Database) -> object:
    with database.read() as connection:
        columns = (Chunk.state, Chunk.attempt, Chunk.errors, Chunk.error, Chunk.next_attempt_at)
        return connection.execute(select(*columns)).one()


def raising(error: Exception) -> Work:
    def work(_context: WorkerContext, _claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        raise error

    return work


def finishing(context: WorkerContext, claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
    (claim,) = claims
    with context.database.write() as connection:
        finish_chunk(connection, claim, scored=1)
        settle_job(connection, claim.job_id)


def test_the_same_ring_ten_times_works_once(context: WorkerContext, chunk_id: int) -> None:
    worked: list[int] = []

    def work(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        worked.append(claims[0].chunk_id)
        finishing(context, claims, heartbeat)

    for _ in range(10):
        run_chunk(context, chunk_id, work)
    assert worked == [chunk_id]
    assert state(context.database).state == "done"


def test_an_error_is_retried_later_and_given_up_at_last(context: WorkerContext, chunk_id: int) -> None:
    run_chunk(context, chunk_id, raising(RuntimeError("the model sneezed")))
    first = state(context.database)
    assert (first.state, first.error) == ("pending", "RuntimeError: the model sneezed")
    assert first.next_attempt_at is not None
    with context.database.write() as connection:
        connection.execute(update(Chunk).values(next_attempt_at=utc_now(-1)))
    run_chunk(context, chunk_id, raising(RuntimeError("the model sneezed")))
    assert state(context.database).state == "failed"
    with context.database.read() as connection:
        job = job_status(connection, 1)
    assert (job.state, job.failed, job.error) == ("failed", 1, "RuntimeError: the model sneezed")


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnreachable("the database is away"),
        StoreUnreachable("the model store cannot be used"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    ],
)
def test_what_the_machine_does_is_put_off_and_never_counts(
    context: WorkerContext, chunk_id: int, error: Exception
) -> None:
    for attempt in range(1, context.settings.max_attempts + 3):
        run_chunk(context, chunk_id, raising(error))
        put_off = state(context.database)
        assert (put_off.state, put_off.attempt, put_off.errors) == ("pending", attempt, 0)
        assert str(error) in put_off.error
        assert put_off.next_attempt_at is not None
        with context.database.write() as connection:
            connection.execute(update(Chunk).values(next_attempt_at=utc_now(-1)))
    run_chunk(context, chunk_id, finishing)
    assert (state(context.database).state, state(context.database).error) == ("done", None)


def test_a_file_that_is_missing_does_count(context: WorkerContext, chunk_id: int) -> None:
    run_chunk(context, chunk_id, raising(FileNotFoundError(errno.ENOENT, "No such file")))
    assert (state(context.database).state, state(context.database).errors) == ("pending", 1)


def test_pauses_grow_and_end_at_a_minute() -> None:
    pauses = [_pause_s(attempt) for attempt in range(1, 100)]
    assert pauses[:3] == [2.0, 4.0, 8.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 60.0


def test_a_claim_that_finds_no_database_is_left_to_the_sweep(context: WorkerContext, chunk_id: int) -> None:
    database, context.database = context.database, Database("postgresql://nobody@127.0.0.1:9/nowhere")
    run_chunk(context, chunk_id, finishing)
    assert (state(database).state, state(database).attempt) == ("pending", 0)


def test_held_claims_are_known_while_they_are_worked_on(context: WorkerContext, chunk_id: int) -> None:
    seen: list[list[int]] = []

    def work(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        seen.append(list(context.held))
        raise RuntimeError

    run_chunk(context, chunk_id, work)
    assert seen == [[chunk_id]]
    assert context.held == {}


def test_what_cannot_get_better_is_not_retried(context: WorkerContext, chunk_id: int) -> None:
    run_chunk(context, chunk_id, raising(ModelMissing("the files are gone")))
    assert (state(context.database).state, state(context.database).attempt) == ("failed", 1)


def test_a_stopping_worker_gives_the_chunk_back_and_takes_no_other(context: WorkerContext, chunk_id: int) -> None:
    run_chunk(context, chunk_id, raising(StopRequested()))
    assert (state(context.database).state, state(context.database).error) == ("pending", None)
    context.stopping.set()
    run_chunk(context, chunk_id, finishing)
    assert state(context.database).attempt == 1


def test_a_lost_database_leaves_the_chunk_to_its_lease(
    context: WorkerContext, chunk_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(context: WorkerContext, _claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        monkeypatch.setattr(context, "database", Database("postgresql://nobody@127.0.0.1:9/nowhere"))
        raise DatabaseUnreachable("gone")

    database = context.database
    run_chunk(context, chunk_id, work)
    assert state(database).state == "leased"


def test_the_reason_of_a_tensorflow_error_is_what_went_wrong() -> None:
    message = 'Graph execution error:\n\nDetected at node a/b defined at (most recent call last):\n  File "a.py"\n'
    error = ValueError(f"{message}\nindices[1,2] = 218 is not in [0, 218)\n\t [[{{{{node a/b}}}}]] [Op:__forward_889]")
    assert reason_of(error) == "ValueError: indices[1,2] = 218 is not in [0, 218)"
    assert reason_of(KeyError()) == "KeyError"
