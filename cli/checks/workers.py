"""Whether workers are alive, and of this version."""

from collections.abc import Iterator
from importlib.metadata import version

from cli.checks.finding import Finding, ok, warning
from cli.checks.patient import Patient
from db.workers import live_workers

NAME = "workers"


def check(patient: Patient) -> Iterator[Finding]:
    """Look who gave a sign of life in the last minute."""
    with patient.asking() as connection:
        if connection is None:
            return
        workers = live_workers(connection)
    if not workers and patient.broker.is_embedded:
        yield ok(NAME, "none is alive; commands start one")
    elif not workers:
        yield warning(NAME, "none is alive, so that no job goes on", "reviewmill worker, on each machine that works")
    mine = version("reviewmill")
    others = {f"{one.owner} ({one.version})" for one in workers if one.version != mine}
    if others:
        yield warning(
            NAME,
            f"{', '.join(sorted(others))}: of another version than this one, {mine}",
            "bring every machine to one version, and start its workers again",
        )
    elif workers:
        yield ok(
            NAME, f"alive are {', '.join(f'{one.device} ({one.owner})' for one in workers)}; all of version {mine}"
        )
