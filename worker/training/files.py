"""Where the files of a training lie: apart by job and attempt, tidied away when the job is over.

MODELS/NAME/job-7-2            the checkpoint that attempt 2 at job 7 made: the registered version, if it was first
MODELS/NAME/.job-7-2.partial   the same while it is being written
MODELS/NAME/.job-7.training    the states of job 7, from which a training cut short goes on
"""

import re
import shutil
from pathlib import Path

import structlog

from db.database import Database
from db.errors import DatabaseError
from db.registry import registered_folders
from db.training import trainings_over

_OURS = re.compile(r"job-(\d+)-\d+|\.job-(\d+)-\d+\.partial|\.job-(\d+)\.training")

log = structlog.get_logger()


def version_folder(models: Path, name: str, job_id: int, attempt: int) -> Path:
    """Where an attempt puts its checkpoint; no other attempt ever writes there."""
    return models / name / f"job-{job_id}-{attempt}"


def states_folder(models: Path, name: str, job_id: int) -> Path:
    """Where the states of a job's training lie."""
    return models / name / f".job-{job_id}.training"


def tidy(database: Database, models: Path, name: str) -> None:
    """Remove what trainings of that name left behind whose job is over. Never raises: it can wait for the next."""
    try:
        for path in leftovers_of(database, models, name):
            shutil.rmtree(path)
            log.info("left-over files removed", action="leftovers_removed", path=str(path))
    except (OSError, DatabaseError) as error:
        log.warning("left-over files not removed", action="tidy_failed", model=name, reason=str(error))


def leftovers_of(database: Database, models: Path, name: str) -> list[Path]:
    """What trainings of that name left behind whose job is over, but for registered versions."""
    ours = {path: int(next(filter(None, match.groups()))) for path, match in _matches(models / name)}
    if not ours:
        return []
    with database.read() as connection:
        over = trainings_over(connection, name, set(ours.values()))
        registered = registered_folders(connection)
    return [path for path, job_id in ours.items() if job_id in over and path.name not in registered]


def _matches(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    if not folder.is_dir():
        return []
    found = [(path, _OURS.fullmatch(path.name)) for path in folder.iterdir()]
    return [(path, match) for path, match in found if match]
