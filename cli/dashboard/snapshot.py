"""The state of everything that works, at one moment; asked of the database cheaply: no prediction is read."""

from dataclasses import dataclass
from datetime import datetime

from broker.app import PRIORITIES, QUEUES
from db.backlog import BACKLOG_STATES, DELAYED, LEASED, WAITING, backlog
from db.clock import database_time
from db.database import Database
from db.jobs import JobStatus, active_jobs, count_active_jobs
from db.training import latest_step
from db.workers import HeldChunk, LiveWorker, held_chunks, live_workers


@dataclass(frozen=True, slots=True)
class ActiveJob:
    """A job that is not over. `done` of `total` are rows, or steps of a training, as `unit` says."""

    status: JobStatus
    done: int
    total: int
    unit: str


@dataclass(frozen=True, slots=True)
class Queue:
    """Chunks of one queue and priority: free ones, those put off until a time, and those under work.

    `oldest_s` is for how many seconds the first of the free ones has waited; None where there is none.
    """

    name: str
    priority: str
    waiting: int
    put_off: int
    at_work: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at `at`, by the database's clock. `counts` are of all jobs that are not over, by state."""

    at: datetime
    counts: dict[str, int]
    jobs: list[ActiveJob]
    workers: list[LiveWorker]
    held: dict[str, list[HeldChunk]]
    queues: list[Queue]

    @property
    def reviews_per_s(self) -> float:
        """What all workers together inferred a second, in the last minute."""
        return sum(one.reviews_per_s for one in self.workers)


def take_snapshot(database: Database, most_jobs: int) -> Snapshot:
    """Look at the database once. Raises DatabaseUnreachable."""
    with database.read() as connection:
        jobs = active_jobs(connection, most_jobs)
        steps = {job.id: latest_step(connection, job.id) for job in jobs if _trains(job)}
        waiting = {(one.kind, one.priority, one.state): (one.chunks, one.oldest_s) for one in backlog(connection)}
        return Snapshot(
            at=database_time(connection),
            counts=count_active_jobs(connection),
            jobs=[_active(job, steps.get(job.id, 0)) for job in jobs],
            workers=live_workers(connection),
            held=held_chunks(connection),
            queues=_queues(waiting),
        )


def _trains(job: JobStatus) -> bool:
    return job.kind == "finetune"


def _active(job: JobStatus, step: int) -> ActiveJob:
    if _trains(job):
        return ActiveJob(job, step, int(job.params.get("steps", 0)), "steps")
    return ActiveJob(job, job.scored + job.reused + job.failed, job.total, "reviews")


def _queues(found: dict[tuple[str, str, str], tuple[int, float]]) -> list[Queue]:
    """Those with a chunk in any state; queues and priorities in the order in which they are served."""
    kinds = [(kind, priority) for kind in QUEUES for priority in PRIORITIES]
    return [_queue(found, *one) for one in kinds if any((*one, state) in found for state in BACKLOG_STATES)]


def _queue(found: dict[tuple[str, str, str], tuple[int, float]], kind: str, priority: str) -> Queue:
    chunks = {state: found.get((kind, priority, state), (0, 0.0)) for state in BACKLOG_STATES}
    waiting, oldest_s = chunks[WAITING]
    put_off, at_work = chunks[DELAYED][0], chunks[LEASED][0]
    return Queue(QUEUES[kind], priority, waiting, put_off, at_work, oldest_s if waiting else None)
