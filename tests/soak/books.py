"""Whether the books balance in the end: every job done, every review scored once by its model, every count right."""

import itertools
from collections.abc import Iterable, Iterator
from datetime import timedelta

from sqlalchemy import Connection, func, select

from db.jobs import job_status
from db.tables import Chunk, Failure, Job, Model, Prediction, Review, Schedule, ScheduleRun
from tests.faults.team import check_books
from tests.soak.load import SCHEDULE, Load

_MINUTE = timedelta(minutes=1)


def what_is_wrong(connection: Connection, load: Load) -> list[str]:
    """A line for each discrepancy; none where all is well."""
    wrong = [*_jobs(connection), *_reviews(connection, load), *_schedule(connection)]
    failures = connection.scalar(select(func.count()).select_from(Failure))
    held = connection.scalar(select(func.count()).where(Chunk.lease_owner.is_not(None)))
    return [*wrong, *_differ("failures", failures, 0), *_differ("chunks under a lease", held, 0)]


def _jobs(connection: Connection) -> Iterator[str]:
    for job_id in connection.scalars(select(Job.id).order_by(Job.id)).all():
        job = job_status(connection, job_id)
        yield from _differ(f"state of job {job_id}", job.state, "done")
        try:
            check_books(connection, job)
        except AssertionError as error:
            yield f"job {job_id}: {' '.join(str(error).split()) or 'its counts and its rows differ'}"


def _reviews(connection: Connection, load: Load) -> Iterator[str]:
    for model_id, name in connection.execute(select(Model.id, Model.name).order_by(Model.id)).all():
        predictions = select(Prediction.review_id).where(Prediction.model_id == model_id)
        found = connection.scalar(select(func.count()).select_from(predictions.subquery()))
        yield from _differ(f"reviews scored by {name}", found, load.asked[name])
        # Counted by chunks, each when it ended: more than there are predictions means that one was scored twice.
        sums = select(func.sum(Chunk.scored), func.sum(Chunk.reused)).join(Job, Job.id == Chunk.job_id)
        scored, reused = connection.execute(sums.where(Job.model_id == model_id)).one()
        yield from _differ(f"scored by {name}, by chunks", scored, load.asked[name])
        yield from _differ(f"reused of {name}, by chunks", reused, load.again[name])
    reviews = connection.scalar(select(func.count()).select_from(Review))
    yield from _differ("reviews", reviews, sum(load.asked.values()))


def _schedule(connection: Connection) -> Iterator[str]:
    runs = (
        select(ScheduleRun.scheduled_for, ScheduleRun.state, ScheduleRun.reason)
        .join(Schedule, Schedule.id == ScheduleRun.schedule_id)
        .where(Schedule.name == SCHEDULE)
        .order_by(ScheduleRun.scheduled_for)
    )
    rows = connection.execute(runs).all()
    for row in rows:
        if row.state not in ("enqueued", "skipped"):
            yield f"the run of {row.scheduled_for} is {row.state}: {row.reason}"
    # The last is the one that was asked for in the end, between two minutes.
    yield from _missed([row.scheduled_for for row in rows[:-1]])


def _missed(times: list) -> Iterator[str]:
    for before, after in itertools.pairwise(times):
        if after - before != _MINUTE:
            yield f"the schedule fired at {before} and then at {after}"


def _differ(what: str, found: object, expected: object) -> Iterable[str]:
    return [] if found == expected else [f"{what}: {found}, and not {expected}"]
