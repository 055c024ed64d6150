"""The models a worker holds in memory, the ones used last."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import structlog

from db.database import Database
from db.registry import RegisteredModel, get_model, has_registered_files
from worker import metrics
from worker.batching import BatchCutter
from worker.checkpoints.tokenizer import Tokenizer
from worker.devices.device import alike_name
from worker.engines.base import Engine
from worker.engines.choose import NULL, choose_engine, load_engine, reads_checkpoint
from worker.engines.cpu.variants import FLOAT32
from worker.errors import ModelChanged, ModelMissing
from worker.memory import TokenBudget
from worker.precision.choose import PrecisionChooser
from worker.settings import WorkerSettings

#: Jobs whose precision is kept in mind, so that their next chunk need not ask the database.
_REMEMBERED_JOBS = 1_000

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


class LoadedModels:
    """Loads a model at its first use, once, and forgets the one unused for longest when there are too many.

    A model that serves jobs in two precisions counts as two. `device` is this device's name among all machines; token
    budgets and precisions are those of all that are alike.
    """

    def __init__(self, database: Database, settings: WorkerSettings, device: str) -> None:
        self._database = database
        self._settings = settings
        self.device = device
        self._alike = alike_name(device)
        self._loaded: OrderedDict[tuple[int, str], LoadedModel] = OrderedDict()
        self._precisions: OrderedDict[int, str] = OrderedDict()
        self._loading = threading.Lock()

    def get(self, model_id: int, job_id: int | None = None) -> LoadedModel:
        """The model, loaded, in the precision that serves the job. Raises ModelMissing, ModelChanged and others."""
        with self._loading:
            if not any(model_id == loaded for loaded, _ in self._loaded):
                self._check_unchanged(self._record(model_id))
            key = (model_id, self._precision(model_id, job_id))
            if key not in self._loaded:
                self._loaded[key] = self._load(*key)
            self._loaded.move_to_end(key)
            while len(self._loaded) > self._settings.models_in_memory:
                _, forgotten = self._loaded.popitem(last=False)
                metrics.note_forgotten(forgotten.serving)
            return self._loaded[key]

    @property
    def loaded(self) -> list[LoadedModel]:
        """The models in memory now, the one used last at the end; never waits for one that is being loaded."""
        return list(self._loaded.values())

    @property
    def is_loading(self) -> bool:
        """Whether somebody loads a model, or looks for its precision, so that `get` would wait."""
        return self._loading.locked()

    def _precision(self, model_id: int, job_id: int | None) -> str:
        if choose_engine(self._settings.engine, self.device) == NULL:
            return NULL
        if job_id is None:
            return FLOAT32.name
        if job_id not in self._precisions:
            chooser = PrecisionChooser(self._database, self._settings, self._alike)
            self._precisions[job_id] = chooser.choose(self._record(model_id), job_id)
            while len(self._precisions) > _REMEMBERED_JOBS:
                self._precisions.popitem(last=False)
        return self._precisions[job_id]

    def _record(self, model_id: int) -> RegisteredModel:
        with self._database.read() as connection:
            record = get_model(connection, model_id)
        if not Path(record.path).is_dir():
            raise ModelMissing(
                f"the files of {record.reference} are gone: {record.path} is not a folder on this worker's machine"
            )
        return record

    def _load(self, model_id: int, precision: str) -> LoadedModel:
        record = self._record(model_id)
        name = choose_engine(self._settings.engine, self.device)
        about = {"model": record.reference, "engine": name, "precision": precision}
        log.info("loading model", action="model_loading", **about)
        began = time.monotonic()
        budget = TokenBudget(self._database, model_id, self._alike, self._settings)
        tokenizer, engine = load_engine(name, record, self._settings.engines_dir, precision)
        loaded = LoadedModel(record, tokenizer, engine, budget, precision, BatchCutter(engine.costs), self.device)
        metrics.note_loaded(loaded.serving, time.monotonic() - began)
        log.info("model loaded", action="model_loaded", **about)
        return loaded

    def _check_unchanged(self, record: RegisteredModel) -> None:
        # A version answers for good as it did when it was registered: what others made of its files is another one.
        name = choose_engine(self._settings.engine, self.device)
        if not reads_checkpoint(name, record, self._settings.engines_dir):
            return
        if not has_registered_files(record):
            raise ModelChanged(
                f"the files of {record.reference} in {record.path} are no longer those that were registered; put them "
                f"back, or register them as a new version: reviewmill models add {record.path} --name {record.name}"
            )
