"""What a person can do about a job that is not going well."""

from collections.abc import Sequence

from broker.settings import BrokerSettings
from db.jobs import PRUNED, JobStatus, Trouble
from db.retry import Failed

#: What to do, by words of the reason that the worker wrote down; the first that fits is told.
_REMEDIES = {
    "No space left": "free disk space on the worker's machine; the chunk is tried again by itself",
    "disk is full": "free disk space on the database's machine; the chunk is tried again by itself",
    "quota exceeded": "free disk space, or raise the quota; the chunk is tried again by itself",
    "cannot be used": "see that the database server runs and is in reach; the chunk is tried again by itself",
    "are gone": "put the model's folder back, or share REVIEWMILL_HOME/models with the worker's machine",
    "is not a folder on this machine": "put the base's folder there, or share it with the worker's machine",
    "memory ran out in training": "fine-tune again with what the error names lowered, or give the worker more memory",
    "worker died": "look into the worker's log and the kernel's (out of memory?); for training, lower --batch-size "
    "or --max-length",
}


def advice(job: JobStatus, troubles: Sequence[Trouble], failed: Failed) -> list[str]:
    """Sentences that say what to do next, the most useful first; none for a job that goes well."""
    reasons = [job.error, *(one.error for one in troubles)]
    remedies = [remedy for words, remedy in _REMEDIES.items() if any(words in (reason or "") for reason in reasons)]
    if PRUNED in job.params:
        return [
            *remedies,
            f"results of it were pruned on {job.params[PRUNED][:10]}; the counts are of what it did before",
        ]
    if job.state == "cancelled":
        return [*remedies, "to have the rest scored, score the source again: what is scored is reused"]
    if job.state == "pending":
        return [*remedies, _how_to_go_on(job)]
    return [*remedies, *_after_failures(job, failed, is_mended_first=bool(remedies))]


def _after_failures(job: JobStatus, failed: Failed, is_mended_first: bool) -> list[str]:
    lines = []
    if failed.can_run_again:
        then = "then run" if is_mended_first else "run"
        lines.append(f"{then} what failed again, and only that: reviewmill jobs retry {job.id}")
    if failed.unread and job.kind == "score":
        lines.append("mend the rows that could not be read, and score the source again: what is scored is reused")
    return lines


def _how_to_go_on(job: JobStatus) -> str:
    if BrokerSettings().is_embedded:
        return f"it waits for a stack to work on it: reviewmill jobs watch {job.id}"
    return "it waits for a worker: start one with `reviewmill worker`, if none runs"
