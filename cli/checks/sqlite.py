"""Whether a SQLite file is whole, and can be written by several processes."""

import sqlite3
from collections.abc import Iterator

from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.patient import Patient
from db.errors import DatabaseError
from db.health import damage, journal_mode

NAME = "sqlite"
#: The first that returns rows from an UPDATE.
OLDEST = (3, 35)


def check(patient: Patient) -> Iterator[Finding]:
    """Look at the library, the file's journal and, unless it is to be quick, at every page."""
    if patient.database is None or not patient.database.is_sqlite:
        return
    if sqlite3.sqlite_version_info < OLDEST:
        yield wrong(NAME, f"SQLite is {sqlite3.sqlite_version}", "use a Python with SQLite 3.35 or newer")
    try:
        with patient.database.read() as connection:
            mode = journal_mode(connection)
            harm = None if patient.scope.quick else damage(connection)
    except DatabaseError as error:
        harm = str(error)
        mode = "wal"
    if mode != "wal":
        yield warning(
            NAME,
            f"its journal is {mode}, not wal: who reads keeps others from writing",
            "put the file on a disk of this machine, not on a network's",
        )
    if harm is not None:
        yield wrong(
            NAME,
            f"the file is damaged: {harm}",
            "put it back from a backup; or save what can be read: sqlite3 OLD .recover | sqlite3 NEW",
        )
    elif mode == "wal":
        looked = "" if patient.scope.quick else ", and every page is well"
        yield ok(NAME, f"SQLite {sqlite3.sqlite_version}, write-ahead log{looked}")
