"""How a job ended, in numbers and in words."""

from collections.abc import Mapping
from typing import Any

from cli.output import counted, print_json, print_table, say
from cli.trouble import show_failures
from db.database import Database
from db.jobs import JobStatus, refused_rows
from db.registry import get_model
from db.results import label_counts


def finish(database: Database, job: JobStatus, as_json: bool) -> int:
    """Print how the job stands and return the command's exit code: 1 for a failed or cancelled job."""
    if as_json:
        print_json(outcome(database, job))
    else:
        _tell(database, job)
    return 1 if job.state in ("failed", "cancelled") else 0


def outcome(database: Database, job: JobStatus) -> dict[str, Any]:
    """The numbers of a job, as `--json` prints them. Times in seconds."""
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
        with database.read() as connection:
            model = get_model(connection, job.model_id)
        document |= {"model": model.reference, "path": model.path, "metrics": model.metrics}
    if job.error:
        document["error"] = job.error
    return document


def _tell(database: Database, job: JobStatus) -> None:
    facts = outcome(database, job)
    if job.state == "failed":
        say(f"Job {job.id} failed: {job.error}")
        say(f"More: reviewmill jobs show {job.id}")
    elif job.kind == "score":
        _tell_scoring(database, job, facts)
    elif job.state == "done":
        say(f"Job {job.id} made {facts['model']} in {facts['seconds']} s{_how_good(facts['metrics'])}.")
        if "kept_epoch" in facts["metrics"]:
            say(f"It keeps epoch {facts['metrics']['kept_epoch']} of the {facts['metrics']['trained_epochs']} trained.")
        say(f"Score with it: reviewmill score SOURCE --text COL --model {facts['model']}")
    else:
        say(f"Job {job.id} is {job.state}.")


def _how_good(metrics: Mapping[str, Any]) -> str:
    """How a new version did on reviews held out: on the test ones, or else on those of validation."""
    for split, reviews in (("test", "test"), ("validation", "held-out")):
        if f"{split}_accuracy" in metrics:
            return f", {metrics[f'{split}_accuracy']:.1%} right on {reviews} reviews"
        if f"{split}_mae" in metrics:
            return f", off by {metrics[f'{split}_mae']:.3g} on average on {reviews} reviews"
        if f"{split}_agreement" in metrics:
            return f", {metrics[f'{split}_agreement']:.1%} as its teacher says on {reviews} reviews"
        if f"{split}_teacher_mae" in metrics:
            return f", {metrics[f'{split}_teacher_mae']:.3g} from its teacher on average on {reviews} reviews"
    return ""


def _tell_scoring(database: Database, job: JobStatus, facts: dict[str, Any]) -> None:
    speed = f" ({facts['reviews_per_second']:,} reviews/s)" if facts["reviews_per_second"] else ""
    seconds = f" in {facts['seconds']} s{speed}" if facts["seconds"] is not None else ""
    say(
        f"Job {job.id} is {job.state}{seconds}: {job.total:,} rows read, "
        f"{job.scored:,} scored, {job.reused:,} reused, {job.failed:,} failed."
    )
    if "skipped" in job.params:
        say(f"{counted(job.params['skipped'], 'row')} were scored before and left out.")
    with database.read() as connection:
        counts = label_counts(connection, job.id)
        refused = refused_rows(connection, job.id, limit=3)
    if counts:
        print_table(("label", "reviews"), list(counts.items()), numbers=("reviews",))
    show_failures(refused)
    say(f"Ask for them: reviewmill results --job {job.id}")


def _seconds(job: JobStatus) -> float | None:
    if job.finished_at is None:
        return None
    return round((job.finished_at - (job.started_at or job.finished_at)).total_seconds(), 2)
