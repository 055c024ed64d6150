"""`reviewmill jobs`: what is going on, and what went on."""

from dataclasses import asdict

import click
from celery import Celery
from sqlalchemy import Connection

from cli.advice import advice
from cli.follow import follow_job
from cli.notify import as_json as notification_as_json
from cli.notify import show_notifications, tell_notification
from cli.on_done import on_done_option
from cli.output import counted, json_option, notes, print_facts, print_json, print_table, say, share
from cli.precision import show_precisions
from cli.run_job import run_job
from cli.stack import running_stack
from cli.summary import finish
from cli.training_check import show_training_check
from cli.trouble import show_failures, show_troubles
from db.jobs import JobStatus, cancel_job, chunk_states, job_status, list_jobs, refused_rows, troubles
from db.measures import measure_job
from db.notifications import notifications_of
from db.precisions import ChosenPrecision, precisions_of
from db.results import label_counts, reading_counts
from db.retry import check_retriable, what_failed
from db.schema import open_database
from db.tables import TRUNCATE
from producer.enqueue import Doorway
from producer.settings import ProducerSettings

#: Rows that failed, as `show` tells them.
_SHOWN_FAILURES = 10

job_argument = click.argument("job_id", metavar="ID", type=click.IntRange(min=1))


@click.group("jobs")
def command() -> None:
    """List, show, watch, cancel and retry jobs."""


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
    """Everything about one job: how far it is, what failed, why, and what to do."""
    with open_database().read() as connection:
        job = job_status(connection, job_id)
        states = chunk_states(connection, job_id)
        trouble = troubles(connection, job_id)
        failures = refused_rows(connection, job_id, _SHOWN_FAILURES)
        measures = asdict(measure_job(connection, job_id))
        what_to_do = advice(job, trouble, what_failed(connection, job_id))
        precisions = _precisions(connection, job)
        labels = label_counts(connection, job_id) if job.kind == "score" else None
        readings = _readings(connection, job)
        notifications = notifications_of(connection, job_id)
    if as_json:
        details = {
            "chunk_states": states,
            "troubles": [asdict(one) for one in trouble],
            "failures": failures,
            "precisions": [asdict(one) for one in precisions],
            "notifications": [notification_as_json(one) for one in notifications],
        }
        print_json({**asdict(job), **measures, **details, "labels": labels, "readings": readings, "advice": what_to_do})
        return
    facts = asdict(job)
    settings = {name: value for name, value in facts.pop("params").items() if name != "data"}
    facts["chunks"] = _told(states)
    shares = {name: share(measures[name]) for name in ("device_busy", "padding")}
    if labels:
        settings["labels"] = _told(labels)
    if readings:
        settings["read"] = _told(readings)
    print_facts(facts | shares | settings)
    if "data" in job.params:
        say("")
        show_training_check(job.params)
    show_precisions(precisions)
    show_notifications(notifications)
    show_troubles(trouble)
    if failures:
        is_cut = len(failures) == _SHOWN_FAILURES
        say("\nRows that failed" + (", the first of them; all are in the table failures" if is_cut else ""))
        show_failures(failures)
    if what_to_do:
        say("\nWhat to do")
    for line in what_to_do:
        say(f"  {line}")


@command.command("watch")
@job_argument
@on_done_option
@json_option
def watch_command(job_id: int, on_done: str | None, as_json: bool) -> int:
    """Follow a job to its end; without a stack of your own, one is started to finish it."""
    database = open_database()
    with database.read() as connection:
        job = job_status(connection, job_id)
    if not job.is_over:
        with running_stack():
            job = follow_job(database, job_id, on_done)
            tell_notification(database, job_id)
    return finish(database, job, as_json, on_done)


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


@command.command("retry")
@job_argument
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@json_option
def retry_command(job_id: int, no_wait: bool, as_json: bool) -> int:
    """Run again what failed of a job, and only that: failed chunks, and reviews that failed alone."""
    database = open_database()
    with database.read() as connection:
        # Before a stack is started for nothing.
        check_retriable(connection, job_id)
        job, failed = job_status(connection, job_id), what_failed(connection, job_id)
    if not failed.can_run_again:
        notes.print(f"Nothing of job {job_id} is there to run again.")
        return finish(database, job, as_json)

    def retry(app: Celery | None) -> int:
        retried = Doorway(database, app, ProducerSettings()).retry(job_id)
        chunks, rows = counted(retried.chunks, "chunk"), counted(retried.rows, "single review")
        notes.print(f"Of job {job_id}, {chunks} and {rows} run again.")
        return job_id

    return run_job(database, retry, no_wait=no_wait, as_json=as_json)


def _precisions(connection: Connection, job: JobStatus) -> list[ChosenPrecision]:
    if job.kind != "score" or job.model_id is None:
        return []
    return precisions_of(connection, job.model_id, str(job.params["source"])) if "source" in job.params else []


def _readings(connection: Connection, job: JobStatus) -> dict[str, int] | None:
    """How many reviews were read how; None for a job that did not ask for more than truncation."""
    return reading_counts(connection, job.id) if job.params.get("long", TRUNCATE) != TRUNCATE else None


def _told(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _row(job: JobStatus) -> tuple[object, ...]:
    counts = (job.total, job.scored, job.reused, job.failed)
    return (job.id, job.kind, job.state, *counts, job.created_at, job.model)
