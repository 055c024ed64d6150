"""`--notify`: the option, and what a person hears of how a notification goes."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from broker.settings import BrokerSettings
from cli.output import counted, local_time, notes, say
from db.database import Database
from db.notifications import NotificationStatus
from db.urls import masked
from producer.notify import await_first_attempt, check_notify
from producer.settings import ProducerSettings


def _check(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    return check_notify(url, ProducerSettings())


notify_option = click.option(
    "--notify",
    metavar="URL",
    callback=_check,
    help="Post the job's end there as signed JSON, again and again until it is taken.",
)


def tell_notification(database: Database, job_id: int) -> None:
    """Let an embedded stack, which ends with the command, tell of the job's end first; say how that went."""
    if not BrokerSettings().is_embedded:
        return
    for one in await_first_attempt(database, job_id):
        notes.print(f"Notification of {masked(one.url)}: {how_it_goes(one)}", markup=False)


def show_notifications(notifications: Sequence[NotificationStatus]) -> None:
    """Print who is told of a job's end, and how that goes."""
    if notifications:
        say("\nNotifications")
    for one in notifications:
        say(f"  {masked(one.url)}: {how_it_goes(one)}")


def as_json(one: NotificationStatus) -> dict[str, Any]:
    """The notification with its secrets masked."""
    return {**asdict(one), "url": masked(one.url)}


def how_it_goes(one: NotificationStatus) -> str:
    """As in `pending after 2 attempts, answered 503, to be tried again at 2026-11-24 10:15`."""
    told = [f"{one.state} after {counted(one.attempts, 'attempt')}" if one.attempts else one.state]
    if one.last_error:
        told.append(one.last_error)
    if one.sent_at:
        told.append(f"at {local_time(one.sent_at)}")
    elif one.next_attempt_at:
        told.append(f"to be tried again at {local_time(one.next_attempt_at)}")
    elif one.state == "pending":
        told.append("posted once the job is over, by a worker with REVIEWMILL_NOTIFY_SECRET")
    return ", ".join(told)
