"""What should have gone on and does not: told from times of the database alone, whoever was to do it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, true

from db.claims import is_due, ran_out
from db.clock import database_time, utc_now
from db.dialect import is_one_of
from db.jobs import FINAL_STATES
from db.tables import Chunk, Job, Notification, Schedule


@dataclass(frozen=True, slots=True)
class Waiting:
    """Free chunks of a kind of job, of which none is worked on: how many, and since when nothing was taken."""

    kind: str
    chunks: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """Chunks under the lease of one owner, and when the last of these leases runs out."""

    owner: str
    chunks: int
    until: datetime


def waiting_work(connection: Connection, for_s: float) -> list[Waiting]:
    """Kinds of job of which chunks are free, none is under a lease that holds, and none was taken for so long."""
    since = func.min(func.coalesce(Job.served_at, Job.created_at))
    free = select(Job.kind, func.count(), since).join(Chunk, Chunk.job_id == Job.id)
    is_free = or_(is_due(), ran_out())
    # The states are said once more for SQLite, which else reads every chunk that there is.
    found = connection.execute(free.where(_is_open(), is_free).group_by(Job.kind).order_by(Job.kind)).all()
    held = select(Job.kind).distinct().join(Chunk, Chunk.job_id == Job.id)
    busy = set(connection.scalars(held.where(Chunk.state == "leased", Chunk.lease_expires_at >= utc_now())))
    late = database_time(connection) - timedelta(seconds=for_s)
    return [Waiting(*row) for row in found if row[0] not in busy and row[2] < late]


def held_by_others(connection: Connection, owners: Collection[str]) -> list[Held]:
    """Chunks under leases that hold, of anybody but these owners."""
    about = select(Chunk.lease_owner, func.count(), func.max(Chunk.lease_expires_at))
    held = about.where(Chunk.state == "leased", Chunk.lease_expires_at >= utc_now())
    others = held.where(~is_one_of(connection, Chunk.lease_owner, sorted(owners))) if owners else held
    found: Any = connection.execute(others.group_by(Chunk.lease_owner).order_by(Chunk.lease_owner))
    return [Held(*row) for row in found]


def overdue_schedules(connection: Connection, by_s: float) -> list[tuple[str, datetime]]:
    """Names of the schedules whose time came so long ago, and that time; the longest overdue first."""
    overdue = select(Schedule.name, Schedule.next_run_at).where(
        Schedule.enabled == true(), Schedule.next_run_at < utc_now(-by_s)
    )
    found: Any = connection.execute(overdue.order_by(Schedule.next_run_at, Schedule.name))
    return [(name, due) for name, due in found]


def overdue_notifications(connection: Connection, by_s: float) -> int:
    """How many notifications of jobs that are over should have been posted, or tried again, so long ago."""
    due = func.coalesce(Notification.next_attempt_at, Job.finished_at)
    overdue = select(func.count()).select_from(Notification).join(Job, Job.id == Notification.job_id)
    is_over = Job.state.in_(FINAL_STATES)
    return connection.scalar(overdue.where(Notification.state == "pending", is_over, due < utc_now(-by_s))) or 0


def _is_open() -> ColumnElement[bool]:
    return Chunk.state.in_(("pending", "leased"))
