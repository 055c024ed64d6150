"""Files in the home that nothing uses any more: of trainings cut short, and graphs of models that are not there."""

import fcntl
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from db.database import Database
from db.registry import list_models
from worker.settings import WorkerSettings
from worker.training.files import leftovers_of

#: See worker.engines.cpu.artefacts: the first half of a checkpoint's digest, and what else the graphs depend on.
_GRAPHS = re.compile(r"\.?([0-9a-f]{32})-[0-9a-f]{12}(\.log|\.partial)?")


def find_leftovers(database: Database, settings: WorkerSettings) -> list[Path]:
    """Folders and files to be removed. Graphs in a folder that a setting names may be others' too, and are left."""
    trainings = [
        path
        for folder in _in(settings.models_dir)
        for path in (leftovers_of(database, settings.models_dir, folder.name) if folder.is_dir() else ())
    ]
    return sorted([*trainings, *(_unused_graphs(database, settings.engines_dir) if settings.engines is None else ())])


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)


def remove(paths: Iterable[Path]) -> None:
    """Remove them, but not graphs that are being built at this moment. Raises OSError."""
    for path in paths:
        graphs = _GRAPHS.fullmatch(path.name)
        if graphs is None:
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


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
