"""Whether the database answers, and has this version's tables."""

from collections.abc import Iterator
from pathlib import Path

from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.patient import Patient
from db.database import Database, place_of
from db.errors import DatabaseError
from db.schema import HEAD_REVISION, current_revision, works_with

NAME = "database"


def check(patient: Patient) -> Iterator[Finding]:
    """Open it and look at its revision. A SQLite file that is not there is not made."""
    url = patient.database_settings.url
    try:
        place = place_of(url)
        if url.startswith("sqlite") and not Path(place.partition("file:")[2].partition("?")[0] or place).exists():
            yield ok(NAME, f"{place} is not there yet; the first command makes it")
            return
        database = Database(url)
        revision = current_revision(database)
    except DatabaseError as error:
        yield wrong(NAME, str(error), _how_to_reach(url))
        return
    patient.database, patient.has_tables = database, works_with(revision)
    yield _revision(database, revision)


def _how_to_reach(url: str) -> str:
    if url.startswith("sqlite"):
        return "put back the file from a backup, or set REVIEWMILL_DATABASE_URL to another"
    return "start the server, or set REVIEWMILL_DATABASE_URL to one that runs, with a user and a password that it knows"


def _revision(database: Database, revision: str | None) -> Finding:
    if works_with(revision):
        return ok(NAME, f"{database.place} answers, at revision {revision}")
    if revision is not None and revision > HEAD_REVISION:
        what = f"the tables of {database.place} are at revision {revision}, newer than this version's {HEAD_REVISION}"
        return wrong(NAME, what, "install the version of Reviewmill that the tables were upgraded with")
    what = f"the tables of {database.place} are at revision {revision or 'none'}; this version needs {HEAD_REVISION}"
    if database.is_sqlite:
        return warning(NAME, what, "reviewmill db upgrade; else the next command does it by itself")
    return wrong(NAME, what, "reviewmill db upgrade")
