"""Files in the home that nothing uses: of trainings cut short, and graphs and copies of models that are gone."""

import fcntl
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from db.database import Database
from db.registry import STORED, list_models
from db.settings import DatabaseSettings
from db.training import bases_in_use
from worker.settings import WorkerSettings
from worker.training.files import leftovers_of

#: See worker.engines.cpu.artefacts: the first half of a checkpoint's digest, and what else the graphs depend on.
_GRAPHS = re.compile(r"\.?([0-9a-f]{32})-[0-9a-f]{12}(\.log|\.partial)?")
#: See db.model_files: what was fetched from the model store.
_COPIES = re.compile(r"\.?([0-9a-f]{64})(\.partial)?")


def find_leftovers(database: Database, settings: WorkerSettings) -> list[Path]:
    """Folders and files to be removed. Graphs in a folder that a setting names may be others' too, and are left."""
    trainings = [
        path
        for folder in _in(settings.models_dir)
        for path in (leftovers_of(database, settings.models_dir, folder.name) if folder.is_dir() else ())
    ]
    graphs = _unused_graphs(database, settings.engines_dir) if settings.engines is None else []
    return sorted([*trainings, *graphs, *_unused_copies(database, DatabaseSettings(home=settings.home).models_cache)])


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def remove(paths: Iterable[Path]) -> None:
    """Remove them, but not graphs that are built, or copies that are fetched, at this moment. Raises OSError."""
    for path in paths:
        if not (_GRAPHS.fullmatch(path.name) or _COPIES.fullmatch(path.name)):
            shutil.rmtree(path)
            continue
        with path.with_name(f"{path.name.lstrip('.').split('.')[0]}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)


def _unused_graphs(database: Database, engines: Path) -> list[Path]:
    with database.read() as connection:
        used = {model.digest[:32] for model in list_models(connection)}
    found = [(path, _GRAPHS.fullmatch(path.name)) for path in _in(engines)]
    return [path for path, match in found if match and match[1] not in used]


def _unused_copies(database: Database, cache: Path) -> list[Path]:
    with database.read() as connection:
        bases = {path.removeprefix(STORED) for path in bases_in_use(connection)}
        used = bases | {model.digest for model in list_models(connection)}
    found = [(path, _COPIES.fullmatch(path.name)) for path in _in(cache)]
    return [path for path, match in found if match and match[1] not in used]


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
