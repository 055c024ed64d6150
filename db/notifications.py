"""Telling a URL of a job's end: which notification is due, who posts it, and how that went.

One is claimed by one process at a time, as chunks are: under a lease, fenced by the number of the attempt. Delivery is
at least once: a process that dies between the post and its commit leaves the lease to run out, and it is posted again
under the same delivery id. All times are the database's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, insert, or_, select, update

from db.clock import utc_now
from db.jobs import FINAL_STATES, JobStatus, job_status
from db.outcome import job_outcome
from db.tables import Job, Notification

#: Waits of 10, 20, 40 ... seconds and then of an hour each: the last attempt is made after 23 hours.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 10.0, 3_600.0
MAX_ATTEMPTS = 32


@dataclass(frozen=True, slots=True)
class NotificationStatus:
    """How a notification is going. `url` is what it is posted to, secrets and all: show it masked."""

    url: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    status_code: int | None
    last_error: str | None
    sent_at: datetime | None

    @property
    def was_tried(self) -> bool:
        """Whether an attempt came to an end, be it a good one."""
        return self.state != "pending" or self.last_error is not None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification held by this process until its lease runs out, and the job's end that it tells."""

    notification_id: int
    attempt: int
    url: str
    delivery_id: str
    job: JobStatus
    outcome: dict[str, Any]


def is_any_due(connection: Connection) -> bool:
    """Whether a notification waits to be posted now."""
    due = select(Notification.id).join(Job, Job.id == Notification.job_id).where(*_is_due())
    return bool(connection.scalar(select(exists(due))))


def claim_notification(connection: Connection, owner: str, lease_s: float) -> Delivery | None:
    """Take one that is due and that nobody holds, if there is any: the one tried least often, whatever else waits."""
    # Both rows are locked: a job that is run again (see db.retry) is over no more, and looks at its notifications.
    found = connection.execute(
        select(Notification.id, Notification.job_id)
        .join(Job, Job.id == Notification.job_id)
        .where(*_is_due())
        .order_by(Notification.attempts, Notification.id)
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True)
    ).first()
    if found is None:
        return None
    lease = {"lease_owner": owner, "lease_expires_at": utc_now(lease_s)}
    taken = connection.execute(
        update(Notification)
        .where(Notification.id == found.id)
        .values(attempts=Notification.attempts + 1, **lease)
        .returning(Notification.attempts, Notification.url, Notification.delivery_id)
    ).one()
    job = job_status(connection, found.job_id)
    return Delivery(found.id, *taken, job, job_outcome(connection, job))


def note_sent(connection: Connection, delivery: Delivery, status_code: int | None) -> bool:
    """The receiver took it. False where another attempt has begun since: that one's end is what counts."""
    values = {"state": "sent", "status_code": status_code, "last_error": None, "sent_at": utc_now()}
    return _end_attempt(connection, delivery, **values)


def note_not_sent(
    connection: Connection, delivery: Delivery, reason: str, status_code: int | None = None, *, final: bool = False
) -> bool:
    """The attempt came to nothing: it is tried again later, unless it was the last or `final`. As with `note_sent`."""
    if final or delivery.attempt >= MAX_ATTEMPTS:
        when: dict[str, Any] = {"state": "failed", "next_attempt_at": None}
    else:
        when = {"next_attempt_at": utc_now(wait_s(delivery.attempt))}
    return _end_attempt(connection, delivery, status_code=status_code, last_error=reason, **when)


def wait_s(attempt: int) -> float:
    """Seconds between that attempt, counted from 1, and the next."""
    return min(_FIRST_WAIT_S * 2 ** (attempt - 1), _LONGEST_WAIT_S)


def notify_again(connection: Connection, job_id: int) -> None:
    """Have whoever was told of the job's end told of its next one too. The caller holds a lock on the job.

    A notification that nobody has tried to post waits for the new end. One that was posted, or may have been, told of
    the old: it is given up where it is pending, and a new one, with a delivery id of its own, is made.
    """
    columns = (Notification.id, Notification.url, Notification.state, Notification.attempts)
    of_job = select(*columns).where(Notification.job_id == job_id).order_by(Notification.id)
    found = connection.execute(of_job.with_for_update()).all()
    waits = {row.url for row in found if row.state == "pending" and not row.attempts}
    stale = [row.id for row in found if row.state == "pending" and row.attempts]
    given_up = {"state": "failed", "last_error": "the job was run again before this was taken", **_RELEASED}
    connection.execute(update(Notification).where(Notification.id.in_(stale)).values(given_up))
    for url in dict.fromkeys(row.url for row in found if row.url not in waits):
        connection.execute(insert(Notification).values(job_id=job_id, url=url))


def notifications_of(connection: Connection, job_id: int) -> Sequence[NotificationStatus]:
    """The notifications of a job, one for each of its ends, the first first."""
    columns = [getattr(Notification, name) for name in NotificationStatus.__slots__]
    found = connection.execute(select(*columns).where(Notification.job_id == job_id).order_by(Notification.id))
    return [NotificationStatus(*row) for row in found]


_RELEASED: dict[str, Any] = {"lease_owner": None, "lease_expires_at": None, "next_attempt_at": None}


def _is_due() -> tuple[ColumnElement[bool], ...]:
    is_free = or_(Notification.lease_expires_at.is_(None), Notification.lease_expires_at < utc_now())
    is_time = or_(Notification.next_attempt_at.is_(None), Notification.next_attempt_at <= utc_now())
    return Notification.state == "pending", and_(is_free, is_time), Job.state.in_(FINAL_STATES)


def _end_attempt(connection: Connection, delivery: Delivery, **values: Any) -> bool:
    held = (
        Notification.id == delivery.notification_id,
        Notification.attempts == delivery.attempt,
        Notification.state == "pending",
    )
    ended = update(Notification).where(*held).values({**_RELEASED, **values})
    return connection.execute(ended).rowcount == 1
