"""Work that should have gone on and does not."""

from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import Connection

from broker.app import QUEUES
from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.patient import Patient
from cli.output import counted, local_time
from db.errors import NotPermitted
from db.stuck import held_by_others, overdue_notifications, overdue_schedules, waiting_work
from db.workers import LiveWorker, live_workers

Look = Callable[[Connection, list[LiveWorker]], Iterator[Finding]]

NAME = "work"
#: A worker takes work within seconds, and a beat fires within one.
_LATE_S = 60.0
#: A notification is tried again after minutes.
_NOTIFICATION_LATE_S = 900.0


def check(patient: Patient) -> Iterator[Finding]:
    """Look for chunks that nobody takes or whose holder is gone, and for schedules that nobody fires."""
    with patient.asking() as connection:
        if connection is None:
            return
        workers = live_workers(connection)
    found: list[Finding] = []
    unseen = []
    looks: dict[str, Look] = {
        "chunks": partial(_waiting, is_embedded=patient.broker.is_embedded),
        "leases": _held,
        "schedules": _schedules,
        "notifications": _notifications,
    }
    for what, look in looks.items():
        try:
            # A transaction each: one that was refused something cannot be gone on with.
            with patient.asking() as connection:
                found += [] if connection is None else look(connection, workers)
        except NotPermitted:
            unseen.append(what)
    but = f"; our user may not see {' and '.join(unseen)}" if unseen else ""
    yield from found or [ok(NAME, f"nothing is stuck{but}")]


def _waiting(connection: Connection, workers: list[LiveWorker], *, is_embedded: bool) -> Iterator[Finding]:
    for one in waiting_work(connection, _LATE_S):
        queue = QUEUES[one.kind]
        serving = [worker.owner for worker in workers if queue in worker.queues]
        chunks, since = counted(one.chunks, "free chunk"), local_time(one.since)
        waits = f"the queue {queue} has {chunks}, and none was taken since {since}"
        if serving:
            why = f"though {', '.join(serving)} should"
            yield wrong(NAME, f"{waits}, {why}", "see the worker's log; end it, and it is replaced")
        elif is_embedded:
            yield warning(NAME, f"{waits}: no stack runs", "reviewmill up, or reviewmill jobs watch ID")
        else:
            yield wrong(NAME, f"{waits}: no worker serves it", f"reviewmill worker --queues {queue}")


def _held(connection: Connection, workers: list[LiveWorker]) -> Iterator[Finding]:
    for one in held_by_others(connection, {worker.owner for worker in workers}):
        yield warning(
            NAME,
            f"{one.owner} holds {counted(one.chunks, 'chunk')}, and was not heard of for a minute",
            f"wait: others take them when its lease runs out, at {local_time(one.until)}; see why it is gone",
        )


def _schedules(connection: Connection, _workers: list[LiveWorker]) -> Iterator[Finding]:
    for name, due in overdue_schedules(connection, _LATE_S):
        yield wrong(
            NAME,
            f"the schedule {name} should have run at {local_time(due)}: nobody keeps time",
            "reviewmill beat, or reviewmill up; it then runs once for all times that were missed",
        )


def _notifications(connection: Connection, _workers: list[LiveWorker]) -> Iterator[Finding]:
    if count := overdue_notifications(connection, _NOTIFICATION_LATE_S):
        yield warning(
            NAME,
            f"{counted(count, 'notification')} of jobs that are over should have been posted",
            "run a worker, or reviewmill beat, with REVIEWMILL_NOTIFY_SECRET set",
        )
