"""How fast a device was at a model, by the chunks that it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from sqlalchemy import Connection, select

from db.tables import Chunk, Job

#: The latest chunks of a device that are looked at.
_CHUNKS = 200
#: Chunks with fewer tokens than this share of the largest one's fill no batch, and tell little of large ones.
_FULL = 0.1


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens that a device reads of a model in a second of computing, the padding not counted.

    The lower and the upper quartile of its latest chunks.
    """

    low: float
    high: float


def device_speeds(connection: Connection, model_id: int, devices: Sequence[str]) -> dict[str, Speed]:
    """How fast those devices, by their names among all machines, were at the model; those that never did it lack."""
    speeds = {device: _speed(connection, model_id, device) for device in devices}
    return {device: speed for device, speed in speeds.items() if speed is not None}


def _speed(connection: Connection, model_id: int, device: str) -> Speed | None:
    chunks = connection.execute(
        select(Chunk.tokens, Chunk.device_s)
        .join(Job, Job.id == Chunk.job_id)
        .where(Job.kind == "score", Job.model_id == model_id, Chunk.device == device, Chunk.state == "done")
        .where(Chunk.tokens > 0, Chunk.device_s > 0)
        .order_by(Chunk.id.desc())
        .limit(_CHUNKS)
    ).all()
    largest = max((tokens for tokens, _ in chunks), default=0)
    rates = [tokens / device_s for tokens, device_s in chunks if tokens >= _FULL * largest]
    if len(rates) < 2:
        return Speed(rates[0], rates[0]) if rates else None
    low, _, high = quantiles(rates, n=4, method="inclusive")
    return Speed(low, high)
