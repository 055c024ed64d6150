"""`reviewmill schedule`: commands that run by the clock."""

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from broker.settings import BrokerSettings
from broker.stack import running_app
from cli.names import names_a
from cli.output import json_option, local_time, notes, print_facts, print_json, print_table, say
from cli.requests import SCHEDULABLE, read_request
from cli.run_job import run_job
from cli.scheduled import failed_on_ctrl_c, perform
from db.clock import database_time
from db.database import Database
from db.schedule_runs import OVERLAPS, RunStatus, begin_run, last_runs, runs_of
from db.schedules import (
    StoredSchedule,
    add_schedule,
    check_free,
    find_schedule,
    list_schedules,
    pause_schedule,
    remove_schedule,
    resume_schedule,
)
from db.schema import open_database
from producer.cron import Cron
from worker.logs import log_to_stderr
from worker.owners import this_owner
from worker.settings import WorkerSettings

#: In a URL: what stands between the user and the host, and parameters of such names.
_PASSWORDS = re.compile(r"(://[^:/@\s]*:)[^/\s]*(?=@)|([?&][^=&\s]*(?:pass|secret|token|key)[^=&\s]*=)[^&\s]+", re.I)
#: One that the environment holds, as in `me:${SHOP_PASSWORD}@db`.
_IN_ENVIRONMENT = re.compile(r"[:=]\$\{\w+\}$")

name_argument = click.argument("name")


@click.group("schedule")
def command() -> None:
    """Score or fine-tune by the clock. `reviewmill beat`, or `reviewmill up`, runs what is due."""


@command.command("add")
@click.argument("name", callback=names_a("schedule"))
@click.option("--cron", required=True, metavar="CRON", help="Minute, hour, day, month, weekday: '0 2 * * *' is 02:00.")
@click.option("--timezone", default="UTC", show_default=True, metavar="TZ", help="Time zone of the cron expression.")
@click.option(
    "--overlap",
    type=click.Choice(OVERLAPS),
    default="skip",
    show_default=True,
    help="What becomes of a run while the job of the one before goes on; of those that queue, one waits.",
)
@click.option("--rescore", is_flag=True, help="When the model has a new version, score again what an older one scored.")
@click.argument("scheduled", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- score|finetune ...")
@json_option
def add_command(
    name: str, cron: str, timezone: str, overlap: str, rescore: bool, scheduled: tuple[str, ...], as_json: bool
) -> None:
    """Run a command by the clock: its arguments stand after the --, and its paths start from this folder."""
    runs, *arguments = scheduled
    if runs not in SCHEDULABLE:
        raise click.UsageError(f"{runs!r} cannot be scheduled; these can: {', '.join(SCHEDULABLE)}")
    _check_rescore(rescore, runs)
    database = open_database()
    with database.read() as connection:
        check_free(connection, name)
        Cron.checked(cron, timezone, database_time(connection))
    _refuse_passwords(arguments)
    # What is missing now, be it a column, is said now and not at night.
    read_request(database, runs, arguments)
    params = {"arguments": arguments, "directory": os.getcwd(), "overlap": overlap, "rescore": rescore}
    with database.write() as connection:
        coming = Cron(cron, timezone).next_after(database_time(connection))
        schedule = add_schedule(
            connection, name, cron=cron, timezone=timezone, command=runs, params=params, next_run_at=coming
        )
    if as_json:
        print_json(_document(schedule))
    else:
        say(f"Schedule {name} runs next at {local_time(coming)}, while `reviewmill beat` or `reviewmill up` runs.")


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """All schedules: when each runs next, and how it went last."""
    with open_database().read() as connection:
        schedules, last = list_schedules(connection), last_runs(connection)
    if as_json:
        print_json([_document(one) | {"last_run": _run_document(last.get(one.id))} for one in schedules])
    elif not schedules:
        notes.print("There are no schedules yet.")
    else:
        columns = ("name", "cron", "next", "last", "how it went", "time zone")
        print_table(columns, [_row(one, last.get(one.id)) for one in schedules])
        for one in schedules:
            if one.id in last and last[one.id].reason:
                say(f"{one.name} {last[one.id].outcome}: {last[one.id].reason}")


@command.command("show")
@name_argument
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Runs to show.")
@json_option
def show_command(name: str, limit: int, as_json: bool) -> None:
    """Everything about a schedule, and what came of its runs, newest first."""
    with open_database().read() as connection:
        schedule = find_schedule(connection, name)
        runs = runs_of(connection, schedule.id, limit)
    if as_json:
        print_json(_document(schedule) | {"runs": [_run_document(run) for run in runs]})
        return
    facts = asdict(schedule)
    print_facts(facts | facts.pop("params") | {"arguments": None, "command": _command_line(schedule)})
    if runs:
        say("")
        columns = ("scheduled for", "outcome", "job", "rows", "skipped", "reason")
        rows = [(run.scheduled_for, run.outcome, run.job_id, run.job_total, run.skipped, run.reason) for run in runs]
        print_table(columns, rows, numbers=("job", "rows", "skipped"))


@command.command("pause")
@name_argument
@json_option
def pause_command(name: str, as_json: bool) -> None:
    """Let no run of a schedule begin; a job that goes on is not stopped."""
    database = open_database()
    with database.write() as connection:
        was_running = pause_schedule(connection, name)
    _tell(database, name, as_json, f"{name} is paused." if was_running else f"{name} was paused already.")


@command.command("resume")
@name_argument
@json_option
def resume_command(name: str, as_json: bool) -> None:
    """Go on with a schedule that was paused. Times that went by meanwhile are not made up for."""
    database = open_database()
    with database.write() as connection:
        schedule = find_schedule(connection, name, lock=True)
        coming = Cron(schedule.cron, schedule.timezone).next_after(database_time(connection))
        was_paused = resume_schedule(connection, name, coming)
    words = f"{name} runs next at {local_time(coming)}." if was_paused else f"{name} was not paused."
    _tell(database, name, as_json, words)


@command.command("remove")
@name_argument
@json_option
def remove_command(name: str, as_json: bool) -> None:
    """Remove a schedule. Its jobs stay, and go on."""
    with open_database().write() as connection:
        jobs = remove_schedule(connection, name)
    if as_json:
        print_json({"name": name, "jobs_kept": jobs})
    else:
        say(f"{name} is removed. Jobs that it made, and that stay: {jobs:,}")


@command.command("run")
@name_argument
@click.option("--rescore", is_flag=True, help="Score again, with the newest version, what an older one scored.")
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@json_option
def run_command(name: str, rescore: bool, no_wait: bool, as_json: bool) -> int:
    """Run a schedule now, whatever the clock says, and follow its job."""
    database, app, lease_s = open_database(), running_app(BrokerSettings()), WorkerSettings().lease_s
    with database.read() as connection:
        _check_rescore(rescore, find_schedule(connection, name).command)
    with database.write() as connection:
        run = begin_run(connection, name, this_owner(), lease_s, rescore=rescore)
    log_to_stderr()
    with notes.status("Reading reviews"), failed_on_ctrl_c(database, run):
        job_id = perform(database, app, run, lease_s)
    return run_job(database, lambda _app: job_id, no_wait=no_wait, as_json=as_json)


def _check_rescore(rescore: bool, scheduled: str) -> None:
    if rescore and scheduled != "score":
        raise click.UsageError("--rescore is for schedules that score; leave it out")


def _refuse_passwords(arguments: Sequence[str]) -> None:
    """What is scheduled is stored, and shown to all who may read the database."""
    for argument in arguments:
        if any(not _IN_ENVIRONMENT.search(found[0]) for found in _PASSWORDS.finditer(argument)):
            raise click.UsageError(
                f"a schedule is stored, and no password may be: write ${{NAME}} in the place of the one in "
                f"{_without_password(argument)!r}, in single quotes, and set NAME where `reviewmill beat` runs"
            )


def _tell(database: Database, name: str, as_json: bool, words: str) -> None:
    if not as_json:
        return say(words)
    with database.read() as connection:
        return print_json(_document(find_schedule(connection, name)))


def _run_document(run: RunStatus | None) -> dict[str, Any] | None:
    return asdict(run) | {"outcome": run.outcome} if run else None


def _row(schedule: StoredSchedule, last: RunStatus | None) -> tuple[object, ...]:
    coming = local_time(schedule.next_run_at) if schedule.enabled else "paused"
    return (schedule.name, schedule.cron, coming, schedule.last_run_at, _how_it_went(last), schedule.timezone)


def _how_it_went(run: RunStatus | None) -> str:
    if run is None:
        return ""
    if run.job_id is None:
        return run.outcome
    skipped = f", {run.skipped:,} skipped" if run.skipped else ""
    return f"job {run.job_id} {run.outcome}{skipped}"


def _document(schedule: StoredSchedule) -> dict[str, Any]:
    arguments = [_without_password(argument) for argument in schedule.params["arguments"]]
    return asdict(schedule) | {"params": schedule.params | {"arguments": arguments}}


def _command_line(schedule: StoredSchedule) -> str:
    return shlex.join([schedule.command, *map(_without_password, schedule.params["arguments"])])


def _without_password(argument: str) -> str:
    return _PASSWORDS.sub(lambda found: f"{found[1] or found[2]}***", argument)
