"""What a frame says of jobs, workers and queues: a row of words each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cli.dashboard.rates import Rates
from cli.dashboard.snapshot import ActiveJob, Queue, Snapshot
from cli.output import share
from db.workers import LiveWorker

_BAR = 12


@dataclass(frozen=True, slots=True)
class Column:
    """`keep` says how dear it is: where the terminal is narrow, those with the least go first."""

    name: str
    keep: int
    told: Callable[[Any], str]
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A table of a frame: rows, the most important first, and how many there are beyond them."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    beyond: int = 0


def sections(snapshot: Snapshot, rates: Rates) -> list[Section]:
    """Jobs, workers and queues."""
    total = sum(snapshot.counts.values())
    return [
        Section("Jobs", _jobs(snapshot, rates), snapshot.jobs, total - len(snapshot.jobs)),
        Section("Workers", _workers(snapshot), _by_work(snapshot.workers)),
        Section("Queues", _QUEUES, snapshot.queues),
    ]


def headline(snapshot: Snapshot) -> str:
    """The whole in a line."""
    running, waiting = snapshot.counts.get("running", 0), snapshot.counts.get("pending", 0)
    workers = len(snapshot.workers)
    told = [
        f"Reviewmill at {snapshot.at.astimezone():%H:%M:%S}",
        f"{snapshot.reviews_per_s:,.1f} reviews/s",
        f"{running} running",
        f"{waiting} waiting",
        f"{workers} worker{'' if workers == 1 else 's'}" if workers else "no worker",
    ]
    return " · ".join(told)


def eta_s(job: ActiveJob, pace: float) -> float | None:
    """Seconds until the job's end at that pace; None where nobody can tell."""
    return (job.total - job.done) / pace if pace > 0 else None


def _jobs(snapshot: Snapshot, rates: Rates) -> list[Column]:
    def pace(job: ActiveJob) -> str:
        found = rates.of(job, snapshot)
        return f"{found:,.1f} {job.unit}/s" if found else ""

    def eta(job: ActiveJob) -> str:
        left = eta_s(job, rates.of(job, snapshot))
        return "" if left is None else span(left)

    return [
        Column("job", 9, lambda job: str(job.status.id), True),
        Column("kind", 2, lambda job: job.status.kind),
        Column("state", 6, lambda job: {"pending": "waiting"}.get(job.status.state, job.status.state)),
        Column("priority", 1, lambda job: job.status.priority),
        Column("", 3, _bar),
        Column("done", 8, lambda job: f"{job.done:,}/{job.total:,}", True),
        Column("pace", 7, pace, True),
        Column("ETA", 7, eta, True),
        Column("failed", 5, lambda job: f"{job.status.failed:,}" if job.status.failed else "", True),
        Column("model", 4, lambda job: job.status.model or ""),
    ]


def _bar(job: ActiveJob) -> str:
    filled = min(_BAR, _BAR * job.done // job.total) if job.total else 0
    return "█" * filled + "░" * (_BAR - filled)


def _workers(snapshot: Snapshot) -> list[Column]:
    def chunk(worker: LiveWorker) -> str:
        held = snapshot.held.get(worker.owner, [])
        first = f"{held[0].chunk_id} of job {held[0].job_id}" if held else ""
        return f"{first} +{len(held) - 1}" if len(held) > 1 else first

    return [
        Column("device", 9, lambda worker: worker.device),
        Column("process", 1, lambda worker: worker.owner),
        Column("engine", 3, lambda worker: worker.engine),
        Column("chunk", 6, chunk),
        Column("reviews/s", 8, lambda worker: f"{worker.reviews_per_s:,.1f}", True),
        Column("busy", 7, lambda worker: share(worker.busy), True),
        Column("seen", 2, lambda worker: f"{span((snapshot.at - worker.seen_at).total_seconds())} ago", True),
        Column("model", 5, lambda worker: ", ".join(f"{one['model']} {one['precision']}" for one in worker.models)),
    ]


def _by_work(workers: Sequence[LiveWorker]) -> list[LiveWorker]:
    return sorted(workers, key=lambda one: (-one.reviews_per_s, one.device, one.owner))


_QUEUES = [
    Column("queue", 9, lambda queue: queue.name),
    Column("priority", 8, lambda queue: queue.priority),
    Column("waiting", 7, lambda queue: f"{queue.waiting:,}", True),
    Column("oldest", 6, lambda queue: _age(queue), True),
    Column("at work", 5, lambda queue: f"{queue.at_work:,}", True),
    Column("put off", 4, lambda queue: f"{queue.put_off:,}", True),
]


def _age(queue: Queue) -> str:
    return "" if queue.oldest_s is None else span(queue.oldest_s)


def span(seconds: float) -> str:
    """As in `0:07`, `12:34` and `3:04:05`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
