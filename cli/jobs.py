"""`reviewmill jobs`: what is going on, and what went on."""

from dataclasses import asdict

import click

from cli.follow import follow_job
from cli.output import json_option, notes, print_facts, print_json, print_table, say
from cli.stack import running_stack
from cli.summary import finish
from db.jobs import JobStatus, cancel_job, job_status, list_jobs, refused_rows
from db.schema import open_database

job_argument = click.argument("job_id", metavar="ID", type=click.IntRange(min=1))


@click.group("jobs")
def command() -> None:
    """List, show, watch and cancel jobs."""


@command.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@json_option
def list_command(limit: int, as_json: bool) -> None:
    """The newest jobs, newest first."""
    with open_database().read() as connection:
        jobs = list_jobs(connection, limit)
    if as_json:
        print_json([asdict(job) for job in jobs])
    elif not jobs:
        notes.print("There are no jobs yet.")
    else:
        columns = ("id", "kind", "state", "total", "scored", "reused", "failed", "created", "model")
        print_table(columns, [_row(job) for job in jobs], numbers=("id", "total", "scored", "reused", "failed"))


@command.command("show")
@job_argument
@json_option
def show_command(job_id: int, as_json: bool) -> None:
    """Everything about one job, with its first failures."""
    with open_database().read() as connection:
        job = job_status(connection, job_id)
        failures = refused_rows(connection, job_id)
    if as_json:
        print_json({**asdict(job), "failures": failures})
        return
    facts = asdict(job)
    settings = facts.pop("params")
    print_facts(facts | settings)
    if failures:
        say(f"\nThe first failures of {job.failed:,}:")
        rows = [(one["row"], one["external_id"], one["stage"], one["reason"]) for one in failures]
        print_table(("line", "id", "stage", "reason"), rows, numbers=("line",))


@command.command("watch")
@job_argument
@json_option
def watch_command(job_id: int, as_json: bool) -> int:
    """Follow a job to its end; without a stack of your own, one is started to finish it."""
    database = open_database()
    with database.read() as connection:
        job = job_status(connection, job_id)
    if not job.is_over:
        with running_stack():
            job = follow_job(database, job_id)
    return finish(database, job, as_json)


@command.command("cancel")
@job_argument
@json_option
def cancel_command(job_id: int, as_json: bool) -> None:
    """End a job where it stands; what was scored stays."""
    database = open_database()
    with database.write() as connection:
        job_status(connection, job_id)
        cancelled = cancel_job(connection, job_id)
        job = job_status(connection, job_id)
    if as_json:
        print_json({"job_id": job_id, "state": job.state, "cancelled": cancelled})
    else:
        notes.print(f"Job {job_id} is cancelled." if cancelled else f"Job {job_id} was {job.state} already.")


def _row(job: JobStatus) -> tuple[object, ...]:
    counts = (job.total, job.scored, job.reused, job.failed)
    return (job.id, job.kind, job.state, *counts, job.created_at, job.model)
