"""A worker keeps the models it used last within a budget, loads beside what it serves, and loads none twice."""

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from db.jobs import job_status
from db.registry import RegisteredModel
from tests.samples import SomeReview
from worker import models
from worker.chunks import run_chunk
from worker.context import WorkerContext
from worker.engines.choose import load_engine
from worker.errors import EngineBuildError
from worker.model_size import size_in_memory
from worker.models import LoadedModels
from worker.scoring import score_chunks

Add = Callable[..., RegisteredModel]
NAMES = ("bert", "distilbert", "albert")


@dataclass
class Loads:
    """Loads of engines, by model name. Those in `held` begin and then wait; those in `failing` fail once."""

    names: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    begun: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, name: str, record: RegisteredModel, engines: Path, precision: str) -> Any:
        self.names.append(record.name)
        if record.name in self.held:
            self.begun.set()
            assert self.may_go_on.wait(60)
        if record.name in self.failing:
            self.failing.remove(record.name)
            raise EngineBuildError("not this time")
        return load_engine(name, record, engines, precision)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    noted = Loads()
    monkeypatch.setattr(models, "load_engine", noted)
    return noted


@pytest.fixture
def added(add_checkpoint: Add) -> list[RegisteredModel]:
    return [add_checkpoint(name) for name in NAMES]


def size(*chosen: RegisteredModel) -> int:
    """Bytes that they take together in float32."""
    return sum(size_in_memory(Path(one.path), "cpu", "float32") for one in chosen)


def limit(context: WorkerContext, budget_bytes: int, **settings: object) -> LoadedModels:
    """Give the worker so much memory for models, and none loaded."""
    context.settings = context.settings.model_copy(update={"model_memory": budget_bytes, **settings})
    context.models = LoadedModels(context.database, context.settings, "here/cpu")
    return context.models


def names(loaded: LoadedModels) -> list[str]:
    return [one.reference.partition("@")[0] for one in loaded.in_memory()]


def test_what_was_used_longest_ago_makes_room(context: WorkerContext, added: list[RegisteredModel]) -> None:
    bert, distilbert, albert = added
    loaded = limit(context, max(size(bert, distilbert), size(bert, albert)))
    first = loaded.get(bert.id)
    loaded.get(distilbert.id)
    assert loaded.get(bert.id) is first
    assert names(loaded) == ["bert", "distilbert"]
    loaded.get(albert.id)
    assert names(loaded) == ["albert", "bert"]
    assert loaded.get(bert.id) is first
    assert [(one.precision, one.bytes) for one in loaded.in_memory()] == [
        ("float32", size(bert)),
        ("float32", size(albert)),
    ]


def test_as_many_are_kept_as_there_is_room_for(context: WorkerContext, added: list[RegisteredModel]) -> None:
    loaded = limit(context, size(*added))
    for _ in range(2):
        for model in added:
            loaded.get(model.id)
    assert sorted(names(loaded)) == sorted(NAMES)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_model_in_memory_is_no_work_for_the_search_for_cycles(
    context: WorkerContext, added: list[RegisteredModel]
) -> None:
    loaded = limit(context, size(*added)).get(added[0].id)
    # Ten thousands of objects of the program's own, beside which a search for cycles among rows would be nothing.
    searched = gc.get_objects()
    assert gc.is_tracked(loaded)
    assert not any(one is loaded for one in searched)
    assert gc.get_freeze_count() > 10 * len(searched)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_what_is_forgotten_is_freed(context: WorkerContext, added: list[RegisteredModel], engine: str) -> None:
    bert, distilbert, _ = added
    loaded = limit(context, size(distilbert), engine=engine)
    forgotten = weakref.ref(loaded.get(bert.id).engine)
    assert forgotten() is not None
    gc.disable()  # it is not freed by chance
    try:
        loaded.get(distilbert.id)
    finally:
        gc.enable()
    assert names(loaded) == ["distilbert"]
    assert forgotten() is None


def test_what_a_chunk_uses_is_not_forgotten_before_the_chunk_ends(
    context: WorkerContext, added: list[RegisteredModel]
) -> None:
    bert, distilbert, albert = added
    loaded = limit(context, max(size(bert), size(distilbert), size(albert)))
    with loaded.use(bert.id) as used, capture_logs() as log:
        with loaded.use(distilbert.id):
            assert names(loaded) == ["distilbert", "bert"]
        # There was room for one: the one that is used stays.
        assert names(loaded) == ["bert"]
        assert loaded.get(bert.id) is used
    assert [event["action"] for event in log if event["log_level"] == "warning"] == ["models_beyond_budget"]
    loaded.get(albert.id)
    assert names(loaded) == ["albert"]


def test_a_model_beyond_the_budget_is_loaded_alone_and_stays(
    context: WorkerContext, added: list[RegisteredModel]
) -> None:
    bert, distilbert, _ = added
    loaded = limit(context, min(size(bert), size(distilbert)) - 1)
    loaded.get(distilbert.id)
    with capture_logs() as log:
        first = loaded.get(bert.id)
    assert [event["action"] for event in log if event["log_level"] == "warning"] == ["model_beyond_budget"]
    assert names(loaded) == ["bert"]
    assert loaded.get(bert.id) is first


def score(context: WorkerContext, make_chunk: Callable[..., int], model: RegisteredModel) -> int:
    chunk_id = make_chunk(model.id, [SomeReview("1", f"good for {model.name}")], f"{model.name}.csv")
    run_chunk(context, chunk_id, score_chunks)
    return chunk_id


def state(context: WorkerContext, job_id: int) -> str:
    with context.database.read() as connection:
        return job_status(connection, job_id).state


def test_chunks_of_a_loaded_model_are_served_while_another_is_loaded(
    context: WorkerContext, added: list[RegisteredModel], make_chunk: Callable[..., int], loads: Loads
) -> None:
    bert, distilbert, _ = added
    score(context, make_chunk, bert)
    loads.held.add("distilbert")
    waiting = make_chunk(distilbert.id, [SomeReview("1", "not bad")], "waiting.csv")
    loader = threading.Thread(target=run_chunk, args=[context, waiting, score_chunks])
    loader.start()
    try:
        assert loads.begun.wait(60)
        served = make_chunk(bert.id, [SomeReview("2", "served meanwhile")], "served.csv")
        run_chunk(context, served, score_chunks)
        assert context.models.is_loading
        assert [state(context, job) for job in (2, 3)] == ["running", "done"]
    finally:
        loads.may_go_on.set()
        loader.join()
    assert state(context, 2) == "done"
    assert not context.models.is_loading
    assert loads.names == ["bert", "distilbert"]


def test_a_model_that_many_ask_for_at_once_is_loaded_once(
    context: WorkerContext, added: list[RegisteredModel], loads: Loads
) -> None:
    bert = added[0]
    together = threading.Barrier(8)

    def ask(_: int) -> models.LoadedModel:
        together.wait(60)
        return context.models.get(bert.id)

    with ThreadPoolExecutor(8) as pool:
        (one,) = {id(loaded): loaded for loaded in pool.map(ask, range(8))}.values()
    assert one.record == bert
    assert loads.names == ["bert"]


def test_a_load_that_fails_is_tried_again_by_who_waited(
    context: WorkerContext, added: list[RegisteredModel], loads: Loads
) -> None:
    bert = added[0]
    loads.held.add("bert")
    loads.failing.add("bert")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(context.models.get, bert.id)
        assert loads.begun.wait(60)
        second = pool.submit(context.models.get, bert.id)
        loads.may_go_on.set()
        with pytest.raises(EngineBuildError, match="not this time"):
            first.result()
        assert second.result().record == bert
    assert loads.names == ["bert", "bert"]
    # Nothing is kept of what failed, and what is counted is right.
    loads.failing.add("distilbert")
    with pytest.raises(EngineBuildError):
        context.models.get(added[1].id)
    assert names(context.models) == ["bert"]
    assert not context.models.is_loading
