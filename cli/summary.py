"""How a job ended, in numbers and in words."""

from collections.abc import Mapping
from typing import Any

from cli.on_done import run_on_done
from cli.output import counted, print_json, print_table, say
from cli.trouble import show_failures
from db.database import Database
from db.jobs import JobStatus, refused_rows
from db.outcome import job_outcome
from db.results import label_counts


def finish(database: Database, job: JobStatus, as_json: bool, on_done: str | None = None) -> int:
    """Print how the job stands, run the `--on-done` command, and return the exit code: 1 for a failed or cancelled job.

    How that command ends changes no exit code: scripts rely on it to tell of the job.
    """
    if as_json:
        print_json(outcome(database, job))
    else:
        _tell(database, job)
    if on_done is not None:
        run_on_done(database, job, on_done)
    return 1 if job.state in ("failed", "cancelled") else 0


def outcome(database: Database, job: JobStatus) -> dict[str, Any]:
    """The numbers of a job, as `--json` prints them. Times in seconds."""
    with database.read() as connection:
        return job_outcome(connection, job)


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
