"""How a job stands, in numbers: what `--json` prints and a notification posts."""

from typing import Any

from sqlalchemy import Connection

from db.jobs import JobStatus
from db.registry import get_model


def job_outcome(connection: Connection, job: JobStatus) -> dict[str, Any]:
    """The numbers of a job, as JSON has them. Times in seconds; None before it is over."""
    seconds = _seconds(job)
    document: dict[str, Any] = {
        "job_id": job.id,
        "state": job.state,
        "total": job.total,
        "scored": job.scored,
        "reused": job.reused,
        "failed": job.failed,
        "seconds": seconds,
    }
    if job.kind == "score":
        done = job.scored + job.reused
        document["reviews_per_second"] = round(done / seconds, 2) if seconds else None
        if "skipped" in job.params:
            document["skipped"] = job.params["skipped"]
    elif job.model_id is not None:
        model = get_model(connection, job.model_id)
        document |= {"model": model.reference, "path": model.path, "metrics": model.metrics}
    if job.error:
        document["error"] = job.error
    return document


def _seconds(job: JobStatus) -> float | None:
    if job.finished_at is None:
        return None
    return round((job.finished_at - (job.started_at or job.finished_at)).total_seconds(), 2)
