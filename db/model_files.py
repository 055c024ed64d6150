"""Where this machine finds the files of models: the one place that knows what `models.path` means.

It is a folder, which every machine must see under that path; or, where there is a model store, `store:DIGEST`. What is
in the store is copied once a machine into HOME/models-cache/DIGEST, checked against the digest, and read from there.
"""

import shutil
from pathlib import Path

import structlog

from db.checkpoint import read_checkpoint_facts
from db.durable import put_in_place
from db.errors import CheckpointError, ModelChanged, ModelMissing, StoreUnreachable
from db.file_lock import locked
from db.model_store import ModelStore
from db.registry import STORED, RegisteredModel, is_stored
from db.settings import DatabaseSettings

log = structlog.get_logger()


class ModelFiles:
    """The files of models on this machine, from wherever the settings and the registry say that they are."""

    def __init__(self, settings: DatabaseSettings | None = None) -> None:
        settings = settings or DatabaseSettings()
        self._cache = settings.models_cache
        self._store = ModelStore(settings.model_store) if settings.model_store else None

    def keep(self, directory: Path, digest: str) -> str:
        """Put a checkpoint where every machine finds it, and return what `models.path` is to hold.

        Without a model store that is the directory itself. Raises StoreUnreachable and ModelChanged.
        """
        if self._store is None:
            return str(directory)
        self._store.put(directory, digest)
        return STORED + digest

    def folder(self, path: str, who: str, *, check: bool = False) -> Path:
        """The folder of a model of that path, fetched if it is not here yet. `who` it is of is for messages.

        With `check` a copy that is here already is held against its digest, and fetched again if it is damaged. Raises
        ModelMissing, ModelChanged, StoreUnreachable, and OSError where this machine cannot hold it.
        """
        if is_stored(path):
            return self._copy(path.removeprefix(STORED), who, check=check)
        if not Path(path).is_dir():
            raise ModelMissing(f"the files of {who} are gone: {path} is not a folder on this machine")
        return Path(path)

    def checked(self, model: RegisteredModel) -> Path:
        """The folder of a version, whose files are those that were registered; a copy that is not is fetched again.

        Raises as `folder` does, and CheckpointError where the files of a folder are no checkpoint.
        """
        if is_stored(model.path):
            return self._copy(model.digest, model.reference, check=True)
        folder = self.folder(model.path, model.reference)
        if read_checkpoint_facts(folder).digest != model.digest:
            raise ModelChanged(
                f"the files of {model.reference} in {folder} are no longer those that were registered; put them back, "
                f"or register them as a new version: reviewmill models add {folder} --name {model.name}"
            )
        return folder

    def _copy(self, digest: str, who: str, *, check: bool) -> Path:
        """This machine's copy; processes that want it at the same time fetch it once."""
        target = self._cache / digest
        with locked(self._cache / f"{digest}.lock"):
            if check and target.is_dir() and not _is_whole(target, digest):
                log.warning("copy of a model is damaged", action="model_copy_damaged", model=who, path=str(target))
                shutil.rmtree(target)
            if not target.is_dir():
                self._fetch(digest, target, who)
        return target

    def _fetch(self, digest: str, target: Path, who: str) -> None:
        if self._store is None:
            raise StoreUnreachable(
                f"{who} is in a model store, and REVIEWMILL_MODEL_STORE is not set here; set it as where it was added"
            )
        store = self._store
        log.info("fetching model", action="model_fetching", model=who, store=store.shown)
        put_in_place(target, lambda folder: store.fetch(digest, folder, who))
        log.info("model fetched", action="model_fetched", model=who, path=str(target))


def _is_whole(folder: Path, digest: str) -> bool:
    try:
        return read_checkpoint_facts(folder).digest == digest
    except (CheckpointError, OSError):
        return False
