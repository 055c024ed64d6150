"""Enqueuing a job and seeing it through, the same for every kind."""

from collections.abc import Callable

from celery import Celery

from broker.settings import BrokerSettings
from broker.stack import running_app
from cli.follow import follow_job
from cli.notify import tell_notification
from cli.output import notes, print_json
from cli.stack import running_stack
from cli.summary import finish, outcome
from db.database import Database
from db.jobs import job_status


def run_job(
    database: Database,
    enqueue: Callable[[Celery | None], int],
    *,
    no_wait: bool,
    as_json: bool,
    on_done: str | None = None,
) -> int:
    """Enqueue with a stack beside it and follow to the end, or enqueue only; return the exit code."""
    if no_wait:
        return _announce(database, enqueue(running_app(BrokerSettings())), as_json)
    with running_stack() as app:
        job = follow_job(database, enqueue(app), on_done)
        tell_notification(database, job.id)
        return finish(database, job, as_json, on_done)


def _announce(database: Database, job_id: int, as_json: bool) -> int:
    if as_json:
        with database.read() as connection:
            print_json(outcome(database, job_status(connection, job_id)))
    else:
        notes.print(f"Job {job_id} is enqueued; follow it: reviewmill jobs watch {job_id}")
    return 0
