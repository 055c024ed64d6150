"""Schedules: commands that run by the clock. What is due next stands in SQL, and is due by the database's clock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, true, update

from db.clock import utc_now
from db.dialect import insert
from db.errors import ScheduleExists, UnknownSchedule
from db.tables import Job, Schedule, ScheduleRun


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule, as the table keeps it. `next_run_at` is None while it is paused."""

    id: int
    name: str
    cron: str
    timezone: str
    command: str
    params: dict[str, Any]
    enabled: bool
    last_run_at: datetime | None
    next_run_at: datetime | None


_COLUMNS = [getattr(Schedule, name) for name in StoredSchedule.__slots__]


def add_schedule(
    connection: Connection,
    name: str,
    *,
    cron: str,
    timezone: str,
    command: str,
    params: dict[str, Any],
    next_run_at: datetime,
) -> StoredSchedule:
    """Store a schedule. Raises ScheduleExists."""
    values = {"name": name, "cron": cron, "timezone": timezone, "command": command, "params": params}
    new = insert(connection, Schedule).values(**values, enabled=True, next_run_at=next_run_at)
    if connection.scalar(new.on_conflict_do_nothing().returning(Schedule.id)) is None:
        raise _is_taken(name)
    return find_schedule(connection, name)


def check_free(connection: Connection, name: str) -> None:
    """Raises ScheduleExists where there is a schedule of that name."""
    if connection.scalar(select(Schedule.id).where(Schedule.name == name)) is not None:
        raise _is_taken(name)


def find_schedule(connection: Connection, name: str, *, lock: bool = False) -> StoredSchedule:
    """The schedule of that name; with `lock` nobody else fires it until the transaction ends.

    Raises UnknownSchedule.
    """
    wanted = select(*_COLUMNS).where(Schedule.name == name)
    row = connection.execute(wanted.with_for_update(key_share=True) if lock else wanted).first()
    if row is None:
        names = list(connection.scalars(select(Schedule.name).order_by(Schedule.name)))
        known = f"there are: {', '.join(names)}" if names else "there are none yet"
        raise UnknownSchedule(f"there is no schedule {name}; {known}")
    return StoredSchedule(*row)


def list_schedules(connection: Connection) -> list[StoredSchedule]:
    """All schedules, by name."""
    return [StoredSchedule(*row) for row in connection.execute(select(*_COLUMNS).order_by(Schedule.name))]


def due_schedules(connection: Connection) -> list[StoredSchedule]:
    """The schedules whose time has come, the longest overdue first."""
    due = select(*_COLUMNS).where(Schedule.enabled == true(), Schedule.next_run_at <= utc_now())
    return [StoredSchedule(*row) for row in connection.execute(due.order_by(Schedule.next_run_at, Schedule.id))]


def move_on(connection: Connection, seen: StoredSchedule, next_run_at: datetime) -> bool:
    """Set a schedule that is due to its next time, unless another process has done so; return whether it is ours.

    Whoever moved it fires it, in the same transaction: that is all that keeps two beats from firing twice.
    """
    moved = connection.execute(
        update(Schedule)
        .where(Schedule.id == seen.id, Schedule.enabled == true(), Schedule.next_run_at == seen.next_run_at)
        .values(next_run_at=next_run_at, last_run_at=utc_now())
    )
    return moved.rowcount == 1


def note_run(connection: Connection, schedule_id: int) -> None:
    """Write down that the schedule runs now, out of its turn."""
    connection.execute(update(Schedule).where(Schedule.id == schedule_id).values(last_run_at=utc_now()))


def pause_schedule(connection: Connection, name: str) -> bool:
    """Let no time of the schedule come, nor a run that waits begin; return whether it was not paused before.

    Raises UnknownSchedule.
    """
    schedule = find_schedule(connection, name, lock=True)
    connection.execute(update(Schedule).where(Schedule.id == schedule.id).values(enabled=False, next_run_at=None))
    connection.execute(
        update(ScheduleRun)
        .where(ScheduleRun.schedule_id == schedule.id, ScheduleRun.state == "waiting")
        .values(state="skipped", reason="the schedule was paused", finished_at=utc_now())
    )
    return schedule.enabled


def resume_schedule(connection: Connection, name: str, next_run_at: datetime) -> bool:
    """Let the schedule run again, from that time on; return whether it was paused. Raises UnknownSchedule."""
    schedule = find_schedule(connection, name, lock=True)
    if not schedule.enabled:
        values = {"enabled": True, "next_run_at": next_run_at}
        connection.execute(update(Schedule).where(Schedule.id == schedule.id).values(values))
    return not schedule.enabled


def remove_schedule(connection: Connection, name: str) -> int:
    """Remove a schedule and its runs; return how many jobs it made. They stay, and keep its name in their params.

    Raises UnknownSchedule.
    """
    schedule = find_schedule(connection, name, lock=True)
    jobs = connection.scalar(select(func.count()).where(Job.schedule_id == schedule.id)) or 0
    connection.execute(update(Job).where(Job.schedule_id == schedule.id).values(schedule_id=None))
    connection.execute(delete(ScheduleRun).where(ScheduleRun.schedule_id == schedule.id))
    connection.execute(delete(Schedule).where(Schedule.id == schedule.id))
    return jobs


def models_used(connection: Connection, schedule_id: int) -> list[int]:
    """The model versions that jobs of the schedule scored with, by id."""
    used = select(Job.model_id).distinct().where(Job.schedule_id == schedule_id, Job.kind == "score")
    return [model_id for model_id in connection.scalars(used) if model_id is not None]


def _is_taken(name: str) -> ScheduleExists:
    return ScheduleExists(
        f"there is a schedule {name} already; take another name, or first: reviewmill schedule remove {name}"
    )
