"""How well a job used the devices it ran on."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from db.tables import Chunk, Job


@dataclass(frozen=True, slots=True)
class Measures:
    """Two shares, 0 to 1, and on how many devices the job ran.

    `device_busy` is how much of the job's time, from its first claim to its end, its devices computed for it. Each
    device that ended one of its chunks should have computed all of that time: what a device did for another
    job, loading a model, a worker that came later, and work that was not committed all count as idle. Two processes
    on one device compute side by side; more than all of the time is told as all of it. None until the job is over.

    `padding` is the share of padding in the batches of the chunks that are done. Both are None where nothing was
    inferred.
    """

    devices: int
    device_busy: float | None
    padding: float | None


def measure_job(connection: Connection, job_id: int) -> Measures:
    """Add up what the job's chunks took."""
    counts = select(
        func.count(Chunk.device.distinct()),
        func.coalesce(func.sum(Chunk.device_s), 0.0),
        func.coalesce(func.sum(Chunk.tokens), 0),
        func.coalesce(func.sum(Chunk.batch_tokens), 0),
    ).where(Chunk.job_id == job_id)
    devices, device_s, tokens, batch_tokens = connection.execute(counts).one()
    times = select(Job.started_at, Job.finished_at).where(Job.id == job_id)
    started_at, finished_at = connection.execute(times).one()
    took_s = (finished_at - started_at).total_seconds() if started_at and finished_at else 0.0
    available_s = devices * took_s
    return Measures(
        devices=devices,
        device_busy=min(1.0, device_s / available_s) if available_s else None,
        padding=1 - tokens / batch_tokens if batch_tokens else None,
    )
