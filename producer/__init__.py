"""The producer reads reviews, checks each one, cuts them into chunks and enqueues jobs.

Programs use it by its Client: `from producer import Client`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from db.jobs import JobStatus
    from db.results import Result
    from producer.client import Client, Unscored
    from producer.errors import JobFailed, ProducerError
    from producer.job import Job

__all__ = ["Client", "Job", "JobFailed", "JobStatus", "ProducerError", "Result", "Unscored"]

_HOMES = {
    "Client": "producer.client",
    "Unscored": "producer.client",
    "Job": "producer.job",
    "JobFailed": "producer.errors",
    "JobStatus": "db.jobs",
    "ProducerError": "producer.errors",
    "Result": "db.results",
}


def __getattr__(name: str) -> Any:
    """Import what a program asks for when it does: commands import this room too, and should start at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
