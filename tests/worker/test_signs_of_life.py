"""What a worker process tells of itself, and that telling never hurts the work."""

import threading
from collections.abc import Callable
from importlib.metadata import version

import pytest

from db.database import Database
from db.errors import DatabaseUnreachable
from db.registry import RegisteredModel
from db.workers import LiveWorker, live_workers
from tests.samples import CHECKPOINTS, SomeReview
from tests.system import wait_until
from worker import signs_of_life
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.model_size import size_in_memory
from worker.models import LoadedModels
from worker.scoring import score_chunks
from worker.settings import WorkerSettings
from worker.signs_of_life import SignsOfLife, sign_of


def alive(database: Database) -> list[LiveWorker]:
    with database.read() as connection:
        return live_workers(connection)


@pytest.fixture
def signs(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> SignsOfLife:
    monkeypatch.setattr(signs_of_life, "_EVERY_S", 0.05)
    return SignsOfLife(context, ["score"])


def test_a_sign_tells_of_models_reviews_and_the_device(
    context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel], make_chunk: Callable[..., int]
) -> None:
    idle = sign_of(context, ["score", "train"])
    assert (idle.engine, idle.models, idle.reviews_per_s, idle.busy) == ("auto", [], 0, 0)
    model = add_checkpoint("bert")
    chunk_id = make_chunk(model.id, [SomeReview(str(number), f"text {number}") for number in range(7)])
    run_chunk(context, chunk_id, score_chunks)
    sign = sign_of(context, ["score", "train"])
    assert (sign.owner, sign.device, sign.queues) == (context.owner, "cpu@here", ["score", "train"])
    assert sign.owner == f"{sign.host}:{sign.pid}"
    assert (sign.engine, sign.version) == ("openvino", version("reviewmill"))
    (told,) = sign.models
    assert (told["model"], told["precision"]) == ("bert@1", "float32")
    assert told["bytes"] == size_in_memory(CHECKPOINTS / "bert", "openvino", "float32")
    assert sign.reviews_per_s > 0
    assert 0 <= sign.busy <= 1


def test_reviews_are_counted_once_each(
    context: WorkerContext,
    add_checkpoint: Callable[..., RegisteredModel],
    make_chunk: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[int] = []
    monkeypatch.setattr(context.reviews, "note", noted.append)
    reviews = [SomeReview(str(number), f"text {number} " + "and so on " * 40) for number in range(50)]
    run_chunk(context, make_chunk(add_checkpoint("bert").id, reviews), score_chunks)
    assert len(noted) > 2
    assert (min(noted), sum(noted)) == (0, 50)


def test_a_setting_names_the_engine(context: WorkerContext) -> None:
    context.settings = WorkerSettings(engine="tensorflow")
    assert sign_of(context, ["score"]).engine == "tensorflow"
    context.settings, context.models = WorkerSettings(), LoadedModels(context.database, WorkerSettings(), "gpu0@here")
    assert sign_of(context, ["score"]).engine == "tensorflow"


def test_a_worker_is_seen_again_and_again_until_it_leaves(context: WorkerContext, signs: SignsOfLife) -> None:
    signs.start()
    wait_until(lambda: alive(context.database))
    first = alive(context.database)[0]
    wait_until(lambda: alive(context.database)[0].seen_at > first.seen_at)
    assert alive(context.database)[0].started_at == first.started_at
    signs.end()
    assert alive(context.database) == []
    # Nor does the thread write it once more.
    wait_until(lambda: all(thread.name != "signs-of-life" for thread in threading.enumerate()))
    assert alive(context.database) == []


def test_a_database_that_is_away_is_told_later_and_stops_nobody(
    context: WorkerContext, signs: SignsOfLife, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, refused = context.database.write, []

    def away() -> None:
        refused.append(True)
        raise DatabaseUnreachable("it is away")

    monkeypatch.setattr(context.database, "write", away)
    signs.start()
    wait_until(lambda: len(refused) > 2)
    assert alive(context.database) == []
    monkeypatch.setattr(context.database, "write", write)
    wait_until(lambda: alive(context.database))
    monkeypatch.setattr(context.database, "write", away)
    signs.end()
