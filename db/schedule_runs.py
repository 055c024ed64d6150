"""Runs of schedules: each fires once, is taken under a lease while its source is read, and ends with its job.

A run is fenced as a chunk is (db.claims): every statement that ends or renews it names its attempt and the state
`running`. If it matches no row, another process reads the source now, and what this one read must not become a job.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, true, update
from sqlalchemy.orm import aliased

from db.clock import database_time, utc_now
from db.dialect import insert
from db.errors import LeaseLost, RunsOverlap
from db.jobs import FINAL_STATES
from db.schedules import StoredSchedule, find_schedule, move_on, note_run
from db.tables import Job, Schedule, ScheduleRun

#: What becomes of a run that comes up while the one before is not over.
OVERLAPS = ("skip", "queue")
_OPEN = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run whose source this process reads, until its lease runs out. `deaths` counts those that read it before."""

    id: int
    attempt: int
    deaths: int
    rescore: bool
    schedule: StoredSchedule


@dataclass(frozen=True, slots=True)
class RunStatus:
    """What came of one run. `job_state` is how its job stands, `skipped` the rows left out as scored before."""

    id: int
    schedule_id: int
    scheduled_for: datetime
    state: str
    skipped: int
    reason: str | None
    finished_at: datetime | None
    job_id: int | None
    job_state: str | None
    job_total: int | None

    @property
    def outcome(self) -> str:
        """In one word: how its job stands, or why there is none."""
        return self.job_state or self.state


@dataclass(frozen=True, slots=True)
class _Before:
    """What is not over of a schedule's runs before, in words: one that is going, or one that waits, or both."""

    words: str
    is_going: bool
    has_waiting: bool


def fire(connection: Connection, seen: StoredSchedule, next_run_at: datetime) -> str | None:
    """Fire a schedule that is due, unless another process did; return the new run's state, or None.

    However many of its times were missed, it fires once, for the first of them.
    """
    assert seen.next_run_at is not None
    if not move_on(connection, seen, next_run_at):
        return None
    return _add_run(connection, seen, seen.next_run_at)


def begin_run(connection: Connection, name: str, owner: str, lease_s: float, *, rescore: bool = False) -> HeldRun:
    """Fire a schedule now, whatever the clock says, and take the run at once; a run that waits is taken instead.

    Raises UnknownSchedule and RunsOverlap.
    """
    schedule = find_schedule(connection, name, lock=True)
    _bury_dead(connection, schedule.id)
    before = _before(connection, schedule.id)
    if before is not None and before.is_going:
        raise RunsOverlap(f"{before.words}, and runs of {name} do not overlap; wait for it, or cancel its job")
    if before is None:
        _insert(connection, schedule.id, scheduled_for=database_time(connection), rescore=_rescores(schedule))
    note_run(connection, schedule.id)
    waits = (ScheduleRun.schedule_id == schedule.id, ScheduleRun.state == "waiting")
    changed = {"rescore": true()} if rescore else {}
    taken = update(ScheduleRun).where(*waits).values(**_taken(owner, lease_s), **changed).returning(ScheduleRun.id)
    run_id = connection.scalar(taken)
    run = held_run(connection, run_id) if run_id is not None else None
    if run is None:
        raise RunsOverlap(f"{name} was fired or taken by another process in this very instant; try again")
    return run


def can_take_run(connection: Connection) -> bool:
    """Whether `take_run` would find one. Only reads: with nothing to do nobody is kept from writing."""
    return connection.scalar(select(ScheduleRun.id).where(_may_begin()).limit(1)) is not None


def take_run(connection: Connection, owner: str, lease_s: float) -> HeldRun | None:
    """Take the oldest run that may begin: one that waits for nothing, or one whose process was not heard of again."""
    oldest = select(ScheduleRun.id).where(_may_begin()).order_by(ScheduleRun.id).limit(1)
    taken = connection.execute(
        update(ScheduleRun)
        .where(ScheduleRun.id == oldest.with_for_update(skip_locked=True).scalar_subquery())
        .values(**_taken(owner, lease_s))
        .returning(ScheduleRun.id)
    ).first()
    return held_run(connection, taken.id) if taken else None


def held_run(connection: Connection, run_id: int) -> HeldRun | None:
    """The run as its newest attempt holds it; None where it was removed with its schedule."""
    run = (ScheduleRun.id, ScheduleRun.attempt, ScheduleRun.deaths, ScheduleRun.rescore)
    facts = [getattr(Schedule, name) for name in StoredSchedule.__slots__]
    found = select(*run, *facts).join(Schedule, Schedule.id == ScheduleRun.schedule_id)
    row = connection.execute(found.where(ScheduleRun.id == run_id)).first()
    if row is None:
        return None
    id_, attempt, deaths, rescore, *schedule = row
    return HeldRun(id_, attempt, deaths, rescore, StoredSchedule(*schedule))


def renew_run(connection: Connection, run: HeldRun, lease_s: float) -> None:
    """Lengthen the lease. Raises LeaseLost."""
    _change(connection, run, lease_expires_at=utc_now(lease_s))


def give_back_run(connection: Connection, run: HeldRun) -> None:
    """Free the run for another process at once, as on shutdown. Raises LeaseLost."""
    _change(connection, run, state="waiting", lease_owner=None, lease_expires_at=None)


def end_with_job(connection: Connection, run: HeldRun, job_id: int, skipped: int) -> None:
    """End the run, in the transaction that makes its job, which is undone with it. Raises LeaseLost."""
    _change(connection, run, state="enqueued", job_id=job_id, skipped=skipped, reason=None, **_over())


def fail_run(connection: Connection, run: HeldRun, reason: str) -> None:
    """End the run without a job. Raises LeaseLost."""
    _change(connection, run, state="failed", reason=reason, **_over())


def runs_of(connection: Connection, schedule_id: int, limit: int = 20) -> list[RunStatus]:
    """The newest runs of a schedule, newest first."""
    found = _statuses().where(ScheduleRun.schedule_id == schedule_id).order_by(ScheduleRun.id.desc()).limit(limit)
    return [RunStatus(*row) for row in connection.execute(found)]


def last_runs(connection: Connection) -> dict[int, RunStatus]:
    """The newest run of each schedule that has run, by the schedule's id."""
    newest = select(func.max(ScheduleRun.id)).group_by(ScheduleRun.schedule_id)
    rows = connection.execute(_statuses().where(ScheduleRun.id.in_(newest)))
    return {run.schedule_id: run for run in (RunStatus(*row) for row in rows)}


def _add_run(connection: Connection, schedule: StoredSchedule, scheduled_for: datetime) -> str | None:
    """Add a run that waits, or, where it would pile up, one that is skipped; return its state.

    None where the schedule has fired for that time already, as after a clock that was set back.
    """
    before = _before(connection, schedule.id)
    values: dict[str, Any] = {"state": "waiting", "rescore": _rescores(schedule)}
    if before is not None and (schedule.params.get("overlap") != "queue" or before.has_waiting):
        values |= {"state": "skipped", "reason": before.words, "finished_at": utc_now()}
    run_id = _insert(connection, schedule.id, scheduled_for=scheduled_for, **values)
    return None if run_id is None else str(values["state"])


def _rescores(schedule: StoredSchedule) -> bool:
    return bool(schedule.params.get("rescore"))


def _insert(connection: Connection, schedule_id: int, **values: Any) -> int | None:
    """Add a run and return its id; None where the schedule has fired for that time already."""
    new = insert(connection, ScheduleRun).values(schedule_id=schedule_id, **values)
    return connection.scalar(new.on_conflict_do_nothing().returning(ScheduleRun.id))


def _before(connection: Connection, schedule_id: int) -> _Before | None:
    """What of the schedule's runs is not over yet."""
    mine = select(ScheduleRun.state).where(ScheduleRun.schedule_id == schedule_id)
    states = list(connection.scalars(mine.where(ScheduleRun.state.in_(_OPEN))))
    has_waiting = "waiting" in states
    if "running" in states:
        return _Before("the run before still reads its source", True, has_waiting)
    job = connection.execute(_last_job().where(ScheduleRun.schedule_id == schedule_id)).first()
    if job is not None and job.state not in FINAL_STATES:
        return _Before(f"job {job.id} of the run before is still {job.state}", True, has_waiting)
    return _Before("another run waits", False, has_waiting) if has_waiting else None


def _bury_dead(connection: Connection, schedule_id: int) -> None:
    """Fail the run whose process was not heard of again: where no beat runs, nobody would take it."""
    dead = (ScheduleRun.schedule_id == schedule_id, _lease_ran_out())
    reason = "the process that read its source was not heard of again"
    connection.execute(update(ScheduleRun).where(*dead).values(state="failed", reason=reason, **_over()))


def _may_begin() -> ColumnElement[bool]:
    waits_for_nothing = and_(ScheduleRun.state == "waiting", ~_is_blocked())
    return and_(ScheduleRun.state.in_(_OPEN), or_(waits_for_nothing, _lease_ran_out()))


def _lease_ran_out() -> ColumnElement[bool]:
    return and_(ScheduleRun.state == "running", ScheduleRun.lease_expires_at < utc_now())


def _is_blocked() -> ColumnElement[bool]:
    """Whether a run that waits must go on waiting: for another that reads, or for the job of the one before."""
    other = aliased(ScheduleRun)
    reading = select(other.id).where(other.schedule_id == ScheduleRun.schedule_id, other.state == "running")
    job = _last_job(other).where(other.schedule_id == ScheduleRun.schedule_id).correlate(ScheduleRun)
    state = job.with_only_columns(Job.state).scalar_subquery()
    return or_(reading.correlate(ScheduleRun).exists(), func.coalesce(state, "done").not_in(FINAL_STATES))


def _last_job(run: Any = ScheduleRun) -> Any:
    return select(Job.id, Job.state).join(run, run.job_id == Job.id).order_by(run.id.desc()).limit(1)


def _taken(owner: str, lease_s: float) -> dict[str, Any]:
    """What becomes of a run that is taken; one that was running lost its process."""
    return {
        "state": "running",
        "attempt": ScheduleRun.attempt + 1,
        "deaths": ScheduleRun.deaths + case((ScheduleRun.state == "running", 1), else_=0),
        "lease_owner": owner,
        "lease_expires_at": utc_now(lease_s),
    }


def _over() -> dict[str, Any]:
    return {"lease_owner": None, "lease_expires_at": None, "finished_at": utc_now()}


def _change(connection: Connection, run: HeldRun, **values: Any) -> None:
    held = (ScheduleRun.id == run.id, ScheduleRun.attempt == run.attempt, ScheduleRun.state == "running")
    if connection.execute(update(ScheduleRun).where(*held).values(values)).rowcount != 1:
        raise LeaseLost(f"run {run.id} of schedule {run.schedule.name} is no longer held by attempt {run.attempt}")


def _statuses() -> Any:
    columns = [getattr(ScheduleRun, name) for name in RunStatus.__slots__[:8]]
    return select(*columns, Job.state, Job.total).outerjoin(Job, Job.id == ScheduleRun.job_id)
