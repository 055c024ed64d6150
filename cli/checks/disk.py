"""Whether there is room where Reviewmill writes, and whether it may write there."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.patient import Patient
from db.database import place_of
from db.errors import DatabaseError

NAME = "disk"
_MB = 1_000_000
#: Below the first not even a model of middle size can be saved; below the second not many.
_TOO_LITTLE, _LITTLE = 300 * _MB, 2_000 * _MB
#: More than what a file system keeps in a file's own record.
_TRIED_BYTES = 64 * 1024


def check(patient: Patient) -> Iterator[Finding]:
    """Try to write in each folder, and look how much room is left there."""
    free = {}
    bad = False
    for what, folder in _folders(patient).items():
        problem = _problem(what, folder)
        if problem is not None:
            bad = True
            yield problem
        free[folder] = _free(folder)
    if not bad:
        least = min(free, key=lambda folder: free[folder])
        yield ok(NAME, f"{', '.join(map(str, free))} can be written; at least {_shown(free[least])} are free")


def _folders(patient: Patient) -> dict[str, Path]:
    folders = {
        "the home": patient.worker.home.absolute(),
        "the models": patient.worker.models_dir,
        "the graphs": patient.worker.engines_dir,
        "temporary files": Path(tempfile.gettempdir()),
    }
    if patient.database_settings.url.startswith("sqlite"):
        try:
            place = Path(place_of(patient.database_settings.url).partition("?")[0])
        except DatabaseError:
            return folders
        folders["the database"] = place.parent
    return folders


def _problem(what: str, folder: Path) -> Finding | None:
    there, free = _existing(folder), _free(folder)
    try:
        # It has no name, so that nothing is left of it whatever happens.
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(b"\0" * _TRIED_BYTES)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        mend = f"make room in {there} or let this user write there, or name another folder in REVIEWMILL_HOME"
        return wrong(NAME, f"{folder}, the folder of {what}, cannot be written: {error.strerror}", mend)
    if free < _LITTLE:
        say = wrong if free < _TOO_LITTLE else warning
        mend = "make room: reviewmill prune and reviewmill vacuum tell what they would free"
        return say(NAME, f"{folder}, the folder of {what}, has only {_shown(free)} left", mend)
    return None


def _free(folder: Path) -> int:
    room = os.statvfs(_existing(folder))
    return room.f_bavail * room.f_frsize


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def _shown(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1_000 * _MB else f"{count / 1e6:,.1f} MB"
