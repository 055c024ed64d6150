"""Whether a PostgreSQL server can be written, and lets our user do what the work takes."""

from collections.abc import Iterator, Mapping

from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.patient import Patient
from db.health import READ, Server, about_server, lacking_rights

NAME = "postgresql"
#: The oldest that its makers still mend.
OLDEST = 14
#: What every command and every worker reads.
_READ_BY_ALL = ("chunks", "jobs", "models", "predictions", "reviews", "workers")


def check(patient: Patient) -> Iterator[Finding]:
    """Look at the server and at our user's rights on the tables."""
    if patient.database is None or patient.database.is_sqlite:
        return
    with patient.database.read() as connection:
        server = about_server(connection)
        lacking = lacking_rights(connection) if patient.has_tables else {}
    found = [*_server(server), *_rights(server, lacking)]
    yield from found
    if not found:
        rights = ", and lets us read and write every table" if patient.has_tables else ""
        yield ok(NAME, f"PostgreSQL {server.version} takes writes{rights}")


def _server(server: Server) -> Iterator[Finding]:
    if server.number // 10_000 < OLDEST:
        yield warning(NAME, f"PostgreSQL {server.version} is no longer looked after", f"use {OLDEST} or newer")
    if server.encoding != "UTF8":
        yield wrong(
            NAME,
            f"the database is in {server.encoding}, so that some texts cannot be stored",
            "make it anew: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
        )
    if server.is_read_only:
        yield wrong(
            NAME,
            "it takes no writes: a standby, or a database or user that is set to read only",
            "name the primary in REVIEWMILL_DATABASE_URL, or set default_transaction_read_only to off",
        )


def _rights(server: Server, lacking: Mapping[str, list[str]]) -> Iterator[Finding]:
    if unread := [table for table in lacking.get(READ, ()) if table in _READ_BY_ALL]:
        yield wrong(
            NAME,
            f"the user {server.user} may not read {', '.join(unread)}",
            f"as the tables' owner: GRANT SELECT ON {', '.join(unread)} TO {server.user}",
        )
    elif lacking:
        # Users of least rights are meant to lack some: a producer ends no chunk, and a worker makes no job.
        told = "; ".join(f"{right} {', '.join(tables)}" for right, tables in lacking.items())
        told = f"the user {server.user} may not {told}"
        if any("jobs" not in lacking.get(right, ()) for right in ("INSERT", "UPDATE")):
            yield ok(NAME, f"PostgreSQL {server.version} takes writes; {told}")
        else:
            yield warning(NAME, told, "name a user with more rights, unless this one is only to look")
