"""The models a worker holds in memory, the ones used last."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import structlog

from db.database import Database
from db.registry import RegisteredModel, get_model
from worker.checkpoints.tokenizer import Tokenizer
from worker.engines.base import Engine
from worker.engines.choose import choose_engine, load_engine
from worker.errors import ModelMissing
from worker.memory import TokenBudget
from worker.settings import WorkerSettings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A registered model, ready to tokenize and infer in batches within its budget on this device."""

    record: RegisteredModel
    tokenizer: Tokenizer
    engine: Engine
    budget: TokenBudget


class LoadedModels:
    """Loads a model at its first use, once, and forgets the one unused for longest when there are too many."""

    def __init__(self, database: Database, settings: WorkerSettings, device: str) -> None:
        self._database = database
        self._settings = settings
        self._device = device
        self._loaded: OrderedDict[int, LoadedModel] = OrderedDict()
        self._loading = threading.Lock()

    def get(self, model_id: int) -> LoadedModel:
        """The model, loaded. Raises ModelMissing and CheckpointLoadError."""
        with self._loading:
            if model_id not in self._loaded:
                self._loaded[model_id] = self._load(model_id)
            self._loaded.move_to_end(model_id)
            while len(self._loaded) > self._settings.models_in_memory:
                self._loaded.popitem(last=False)
            return self._loaded[model_id]

    def _load(self, model_id: int) -> LoadedModel:
        with self._database.read() as connection:
            record = get_model(connection, model_id)
        directory = Path(record.path)
        if not directory.is_dir():
            raise ModelMissing(
                f"the files of {record.reference} are gone: {directory} is not a folder on this worker's machine"
            )
        name = choose_engine(self._settings.engine, self._device)
        log.info("loading model", action="model_loading", model=record.reference, engine=name)
        budget = TokenBudget(self._database, model_id, self._device, self._settings.token_budget)
        tokenizer, engine = load_engine(name, record, self._settings.home.absolute())
        loaded = LoadedModel(record, tokenizer, engine, budget)
        log.info("model loaded", action="model_loaded", model=record.reference)
        return loaded
