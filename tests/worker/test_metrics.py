"""Whatever becomes of a chunk is counted, under labels that stay few."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import delete

from broker.app import QUEUES
from db.backlog import BACKLOG_STATES
from db.claims import Claim
from db.database import Database
from db.errors import DatabaseUnreachable, LeaseLost
from db.jobs import NewJob, create_job
from db.registry import RegisteredModel
from db.reviews import store_reviews
from db.tables import PRIORITIES, Chunk
from tests.samples import SomeReview
from worker.chunks import Work, run_chunk
from worker.context import WorkerContext
from worker.endpoint import QueueCollector
from worker.errors import ModelMissing, NoPortLeft, StopRequested
from worker.lease import Heartbeat
from worker.metrics import OUTCOMES, REGISTRY
from worker.models import LoadedModels
from worker.scoring import score_chunks
from worker.supervisor import metrics_ports

Make = Callable[..., int]


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def ends() -> dict[str, float]:
    return {outcome: value("reviewmill_chunks_total", kind="score", outcome=outcome) for outcome in OUTCOMES}


def raising(error: Exception) -> Work:
    def work(_context: WorkerContext, _claims: Sequence[Claim], _heartbeat: Heartbeat) -> None:
        raise error

    return work


@pytest.fixture
def model() -> str:
    """The reference of a model that no other test counts for."""
    return "counted@1"


@pytest.fixture
def chunk_id(database: Database, model: str) -> int:
    """A chunk of three reviews, of a model that is not there."""
    with database.write() as connection:
        ids = store_reviews(connection, "f.csv", [SomeReview(str(number), f"text {number}") for number in range(3)])
        _, (chunk_id,) = create_job(connection, NewJob("score", {"model": model}, [ids]))
    return chunk_id


@pytest.mark.parametrize(
    ("error", "outcome", "failed"),
    [
        (RuntimeError("it sneezed"), "retried", 0),
        (ModelMissing("it is gone"), "failed", 3),
        (DatabaseUnreachable("it is away"), "put_off", 0),
        (StopRequested(), "given_back", 0),
        (LeaseLost("it is another's"), "lost", 0),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_end_of_an_attempt_is_counted(
    context: WorkerContext, chunk_id: int, model: str, error: Exception, outcome: str, failed: int
) -> None:
    before, reviews = ends(), value("reviewmill_reviews_total", model=model, outcome="failed")
    run_chunk(context, chunk_id, raising(error))
    counted = {name: number - before[name] for name, number in ends().items() if number != before[name]}
    assert counted == {outcome: 1}
    assert value("reviewmill_reviews_total", model=model, outcome="failed") - reviews == failed


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_could_not_be_committed_is_not_counted_as_done(
    context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel], make_chunk: Make
) -> None:
    chunk_id = make_chunk(add_checkpoint("bert").id, [SomeReview("1", "good")])

    def lose_it(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
        with context.database.write() as connection:
            connection.execute(delete(Chunk))
        score_chunks(context, claims, heartbeat)

    before = ends()
    run_chunk(context, chunk_id, lose_it)
    assert {name: number - before[name] for name, number in ends().items() if number != before[name]} == {"lost": 1}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_models_in_memory_are_shown_until_they_are_forgotten(
    context: WorkerContext, add_checkpoint: Callable[..., RegisteredModel]
) -> None:
    settings = context.settings.model_copy(update={"engine": "null", "models_in_memory": 1})
    models = LoadedModels(context.database, settings, "here/cpu")
    labels = {"engine": "null", "precision": "null", "device": "here/cpu"}
    loads = value("reviewmill_model_loads_total", model="bert@1", **labels)
    first, second = add_checkpoint("bert"), add_checkpoint("distilbert")
    models.get(first.id)
    models.get(first.id)
    assert value("reviewmill_model_loads_total", model="bert@1", **labels) == loads + 1
    assert value("reviewmill_model_info", model="bert@1", **labels) == 1
    models.get(second.id)
    assert REGISTRY.get_sample_value("reviewmill_model_info", {"model": "bert@1", **labels}) is None
    assert value("reviewmill_model_info", model="distilbert@1", **labels) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_queue_is_told_of_with_zeros_too(database: Database, chunk_id: int) -> None:
    assert chunk_id
    depths, ages = QueueCollector(database).collect()
    told = {tuple(sample.labels.values()): sample.value for sample in depths.samples}
    every = {
        (queue, priority, state) for queue in QUEUES.values() for priority in PRIORITIES for state in BACKLOG_STATES
    }
    assert told == dict.fromkeys(every, 0) | {("score", "normal", "waiting"): 1}
    assert len(ages.samples) == len(QUEUES) * len(PRIORITIES)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_database_is_asked_once_for_many_scrapes(
    database: Database, chunk_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chunk_id
    asked: list[None] = []
    read = database.read
    monkeypatch.setattr(database, "read", lambda: asked.append(None) or read())
    collector = QueueCollector(database, kept_s=3_600)
    assert [len(list(collector.collect())) for _ in range(20)] == [2] * 20
    assert len(asked) == 1


def test_queues_are_left_out_while_the_database_is_away() -> None:
    collector = QueueCollector(Database("postgresql://nobody@127.0.0.1:9/nowhere"))
    assert list(collector.collect()) == []


def test_each_process_has_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert metrics_ports(2) == [0, 0]
    monkeypatch.setenv("REVIEWMILL_METRICS_PORT", "")
    assert metrics_ports(2) == [0, 0]
    monkeypatch.setenv("REVIEWMILL_METRICS_PORT", "9464")
    assert metrics_ports(3) == [9464, 9465, 9466]
    monkeypatch.setenv("REVIEWMILL_METRICS_PORT", "65535")
    assert metrics_ports(1) == [65_535]
    with pytest.raises(NoPortLeft, match="65535 leaves too few ports for 2 processes"):
        metrics_ports(2)
