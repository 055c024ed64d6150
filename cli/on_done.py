"""`--on-done`: a command of the person who waits, run by the waiting command itself when the job has ended.

It is run here, on this machine and as this user; no worker ever sees it, and it is stored nowhere.
"""

import os
import subprocess
import sys

import click

from cli.output import notes
from db.database import Database
from db.jobs import JobStatus
from db.outcome import job_outcome

on_done_option = click.option(
    "--on-done",
    metavar="COMMAND",
    help="Shell command to run here when the job has ended, however it ended; it finds the end in REVIEWMILL_JOB_*.",
)


def check_on_done(on_done: str | None, no_wait: bool) -> None:
    """Raise UsageError where nobody waits who could run it."""
    if on_done is not None and no_wait:
        raise click.UsageError("--on-done is run by whoever waits, and --no-wait does not; use `jobs watch --on-done`")


def run_on_done(database: Database, job: JobStatus, command: str) -> None:
    """Run the command, and say where it failed; its standard output becomes standard error, which is for people."""
    ended = subprocess.run(  # noqa: S602 (a shell is what the person who typed it asked for)
        command, shell=True, check=False, stdout=sys.stderr.fileno(), env={**os.environ, **_told(database, job)}
    )
    if ended.returncode:
        notes.print(f"The --on-done command ended with {ended.returncode}: {command}", markup=False)


def _told(database: Database, job: JobStatus) -> dict[str, str]:
    """What `--json` says of the job, but for what is no plain value, as REVIEWMILL_JOB_ID, REVIEWMILL_JOB_STATE..."""
    with database.read() as connection:
        outcome = job_outcome(connection, job)
    known = {"id": outcome.pop("job_id"), "kind": job.kind, **outcome}
    return {
        f"REVIEWMILL_JOB_{name.upper()}": str(value)
        for name, value in known.items()
        if isinstance(value, str | int | float)
    }
