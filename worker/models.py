"""The models a worker holds in memory: those used last, as far as a budget of memory goes."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import structlog

from broker import tracing
from db.database import Database
from db.lineage import check_allowed
from db.model_files import ModelFiles
from db.registry import RegisteredModel, get_model
from worker import metrics
from worker.batching import BatchCutter
from worker.checkpoints.tokenizer import Tokenizer
from worker.cycles import settle
from worker.devices.device import alike_name
from worker.engines.base import Engine, streams_of
from worker.engines.choose import NULL, choose_engine, load_engine, reads_checkpoint
from worker.engines.cpu.variants import FLOAT32
from worker.memory import TokenBudget
from worker.memory_limits import memory_of
from worker.model_size import size_in_memory
from worker.precision.choose import PrecisionChooser
from worker.settings import WorkerSettings

#: Jobs whose precision is kept in mind, so that their next chunk need not ask the database.
_REMEMBERED_JOBS = 1_000
#: Of the memory there is, for models where the setting is auto. The rest is for batches, texts, training and others.
_SHARE_OF_MEMORY = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A registered model, ready to tokenize and infer in batches within its budget, in a precision, on this device."""

    record: RegisteredModel
    tokenizer: Tokenizer
    engine: Engine
    budget: TokenBudget
    precision: str
    cutter: BatchCutter
    device: str

    @property
    def serving(self) -> metrics.Serving:
        """What its metrics are told apart by: model, engine, precision and device."""
        # Every engine's class is called after its library.
        engine = type(self.engine).__name__.removesuffix("Engine").lower()
        return self.record.reference, engine, self.precision, self.device


class InMemory(NamedTuple):
    """A model that a worker holds: its reference, NAME@VERSION, its precision, and about how many bytes it takes."""

    reference: str
    precision: str
    bytes: int


@dataclass(slots=True, eq=False)
class _Place:
    """Where one model stands in one precision, once it is loaded, and how many chunks use it or wait for it."""

    model_id: int
    precision: str
    users: int = 0
    bytes: int = 0
    model: LoadedModel | None = None
    loading: threading.Lock = field(default_factory=threading.Lock)


class LoadedModels:
    """Loads a model at its first use, once, and forgets those unused for longest when they take too much memory.

    What a running chunk uses is never forgotten: models that are used at the same time, and one that alone is larger
    than the budget, may take more, and what was used is forgotten as soon as nobody does. A model is loaded in the
    thread that asks for it, and others are served meanwhile. One that serves jobs in two precisions counts as two.
    `device` is this device's name among all machines; token budgets and precisions are those of all that are alike.
    """

    def __init__(self, database: Database, settings: WorkerSettings, device: str) -> None:
        self._database = database
        self._settings = settings
        self.device = device
        self._alike = alike_name(device)
        self.files = ModelFiles()
        self.budget_bytes = _budget(settings, device)
        #: In the order in which they were asked for, the last one last.
        self._places: OrderedDict[tuple[int, str], _Place] = OrderedDict()
        self._precisions: OrderedDict[int, str] = OrderedDict()
        self._loading = 0
        #: Held while the books above are read or written, and never while anything is loaded.
        self._books = threading.Lock()

    @contextmanager
    def use(self, model_id: int, job_id: int | None = None) -> Iterator[LoadedModel]:
        """Hold the model, loaded, in the precision that serves the job, for as long as the block runs.

        Who asks for one that another thread loads waits for that; where it fails there, it is tried again here.
        Raises ModelMissing, ModelChanged, StoreUnreachable and others.
        """
        with tracing.step("model"):
            place, model = self._ready(model_id, job_id)
        try:
            yield model
        finally:
            self._leave(place)

    def get(self, model_id: int, job_id: int | None = None) -> LoadedModel:
        """The model as `use` has it, for whoever asks about it and infers nothing: nobody holds it afterwards."""
        with self.use(model_id, job_id) as loaded:
            return loaded

    def in_memory(self) -> list[InMemory]:
        """What is loaded now, the one asked for last first."""
        with self._books:
            places = list(reversed(self._places.values()))
        return [InMemory(one.model.record.reference, one.precision, one.bytes) for one in places if one.model]

    @property
    def is_loading(self) -> bool:
        """Whether somebody loads a model, or looks for its precision, so that `use` of that one would wait."""
        return self._loading > 0

    def _ready(self, model_id: int, job_id: int | None) -> tuple[_Place, LoadedModel]:
        """A place that the caller must leave, and the model in it, loaded."""
        place = self._enter(model_id, self._precision(model_id, job_id))
        try:
            with place.loading:
                if place.model is None:
                    place.model = self._load(place)
                return place, place.model
        except BaseException:
            self._leave(place)
            raise

    def _enter(self, model_id: int, precision: str) -> _Place:
        with self._books:
            place = self._places.setdefault((model_id, precision), _Place(model_id, precision))
            self._places.move_to_end((model_id, precision))
            place.users += 1
            return place

    def _leave(self, place: _Place) -> None:
        with self._books:
            place.users -= 1
            if not place.users and place.model is None:
                del self._places[place.model_id, place.precision]
        self._forget_unused()

    def _forget_unused(self) -> None:
        """Forget what is unused, longest first, until the rest is within the budget; the last one stays in any case."""
        forgotten = []
        with self._books:
            for key, place in list(self._places.items()):
                if self._bytes() <= self.budget_bytes or len(self._places) == 1:
                    break
                if not place.users:
                    forgotten.append((place.model_id, place.precision))
                    if place.model is not None:
                        metrics.note_forgotten(place.model.serving)
                    del self._places[key]
                    del place
        for model_id, precision in forgotten:
            log.info("model forgotten", action="model_forgotten", model=model_id, precision=precision)
        if forgotten:
            # Keras models hold themselves, by way of their functions: without this their memory stays for long.
            settle()

    def _bytes(self) -> int:
        return sum(place.bytes for place in self._places.values())

    @contextmanager
    def _busy(self) -> Iterator[None]:
        with self._books:
            self._loading += 1
        try:
            yield
        finally:
            with self._books:
                self._loading -= 1

    def _precision(self, model_id: int, job_id: int | None) -> str:
        if choose_engine(self._settings.engine, self.device) == NULL:
            return NULL
        if job_id is None:
            return FLOAT32.name
        with self._books:
            known = self._precisions.get(job_id)
        if known is not None:
            return known
        with self._busy():
            chooser = PrecisionChooser(self._database, self._settings, self._alike)
            chosen = chooser.choose(self._record(model_id), job_id)
        with self._books:
            self._precisions[job_id] = chosen
            while len(self._precisions) > _REMEMBERED_JOBS:
                self._precisions.popitem(last=False)
        return chosen

    def _load(self, place: _Place) -> LoadedModel:
        with self._busy():
            record = self._record(place.model_id)
            name = choose_engine(self._settings.engine, self.device)
            about = {"model": record.reference, "engine": name, "precision": place.precision}
            self._make_room(place, size_in_memory(Path(record.path), name, place.precision), about)
            log.info("loading model", action="model_loading", **about)
            began = time.monotonic()
            budget = TokenBudget(self._database, record.id, self._alike, self._settings)
            tokenizer, engine = load_engine(name, record, self._settings.engines_dir, place.precision)
            cutter = BatchCutter(engine.costs, streams_of(engine))
            loaded = LoadedModel(record, tokenizer, engine, budget, place.precision, cutter, self.device)
            settle()
            metrics.note_loaded(loaded.serving, time.monotonic() - began)
            log.info("model loaded", action="model_loaded", **about, bytes=place.bytes)
            return loaded

    def _make_room(self, place: _Place, size_bytes: int, about: dict[str, str]) -> None:
        with self._books:
            place.bytes = size_bytes
        self._forget_unused()
        sizes = {"bytes": size_bytes, "budget_bytes": self.budget_bytes}
        if size_bytes > self.budget_bytes:
            log.warning("larger than the memory for models", action="model_beyond_budget", **about, **sizes)
        elif (together := sum(one.bytes for one in self.in_memory()) + size_bytes) > self.budget_bytes:
            log.warning(
                "models in use take more than the memory for models",
                action="models_beyond_budget",
                **about,
                **sizes,
                together_bytes=together,
            )

    def _record(self, model_id: int) -> RegisteredModel:
        """The version as the registry has it, but for its path, which is that of its folder on this machine."""
        with self._database.read() as connection:
            record = get_model(connection, model_id)
            check_allowed(connection, self._settings.allowed, Path(record.path), made_below=self._settings.models_dir)
        # A version answers for good as it did when it was registered: what others made of its files is another one.
        name = choose_engine(self._settings.engine, self.device)
        if reads_checkpoint(name, record, self._settings.engines_dir):
            return replace(record, path=str(self.files.checked(record)))
        return replace(record, path=str(self.files.folder(record.path, record.reference)))


def _budget(settings: WorkerSettings, device: str) -> int:
    if isinstance(settings.model_memory, int):
        return int(settings.model_memory)
    return int(memory_of(device) * _SHARE_OF_MEMORY)
