"""Following a job until it ends: a live bar, and words when one leaves early."""

import time
from collections.abc import Callable

import click
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from broker.settings import BrokerSettings
from cli.output import notes
from db.database import Database
from db.jobs import JobStatus, job_status
from db.training import latest_metrics

_LOOK_S = 0.3
#: A worker needs some seconds to load TensorFlow and the model; after this long something is wrong.
_PATIENCE_S = 90.0
#: What is shown of a training, where it has it.
_FIGURES = ("loss", "accuracy", "binary_accuracy", "agreement", "mae", "val_loss", "val_accuracy", "val_mae")


def follow_job(database: Database, job_id: int, on_done: str | None = None) -> JobStatus:
    """Show how the job goes until it is over. Ctrl-C leaves it and says how to come back, and what is not run."""
    try:
        return _follow(database, job_id)
    except KeyboardInterrupt:
        embedded = BrokerSettings().is_embedded
        goes_on = "is kept and goes on when you come back" if embedded else "goes on without you"
        notes.print(f"\nLeft job {job_id}; it {goes_on}: reviewmill jobs watch {job_id}")
        notes.print(f"To end it: reviewmill jobs cancel {job_id}")
        if on_done is not None:
            notes.print(f"Not run, for it is run by whoever waits: --on-done {on_done}", markup=False)
        raise click.exceptions.Exit(130) from None


def _follow(database: Database, job_id: int) -> JobStatus:
    with _bar() as bar:
        task = bar.add_task("", total=None, words="waiting for a worker")
        clock = _Clock()
        while True:
            with database.read() as connection:
                job = job_status(connection, job_id)
                metrics = latest_metrics(connection, job_id) if job.kind == "finetune" else {}
            done, total, words = _SHOWN[job.kind](job, metrics, clock)
            bar.update(task, description=_title(job), completed=done, total=total, words=words)
            if job.is_over:
                return job
            _warn_when_stuck(bar, clock, done)
            time.sleep(_LOOK_S)


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[words]}"),
        console=notes,
    )


class _Clock:
    """The pace of a job from the moment this command saw it move."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.warned = False
        self._from: tuple[float, int] | None = None

    def pace(self, done: int) -> float:
        """Units a second since the first unit was seen done; 0 until two looks differ."""
        now = time.monotonic()
        if self._from is None or done < self._from[1]:
            self._from = (now, done)
        since, first = self._from
        return (done - first) / (now - since) if done > first else 0.0


def _title(job: JobStatus) -> str:
    verb = "Scoring" if job.kind == "score" else "Fine-tuning"
    return f"{verb} (job {job.id})"


def _scoring(job: JobStatus, _metrics: dict[str, float], clock: _Clock) -> tuple[int, int, str]:
    done = job.scored + job.reused + job.failed
    words = [f"{done:,}/{job.total:,}", *_pace(clock.pace(done), job.total - done, "reviews/s")]
    if job.failed:
        words.append(f"{job.failed:,} failed")
    return done, job.total, _joined(job, words)


def _finetuning(job: JobStatus, metrics: dict[str, float], clock: _Clock) -> tuple[int, int, str]:
    step, steps = int(metrics.get("step", 0)), int(job.params["steps"])
    words = [f"step {step:,}/{steps:,}"]
    if job.state == "done" and job.params.get("early_stopping") and step < steps:
        return step, step, _joined(job, [f"{words[0]} · stopped early"])
    if step == steps:
        words.append("evaluating and saving")
    pace = _pace(clock.pace(step), steps - step, "steps/s") if step < steps else []
    # A narrow terminal cuts off what comes last, so that is the speed, and not the time that is left.
    figures = [f"{name.replace('_', ' ')} {metrics[name]:.3f}" for name in _FIGURES if name in metrics]
    return step, steps, _joined(job, [*words, *pace[1:], *figures, *pace[:1]])


_SHOWN: dict[str, Callable[[JobStatus, dict[str, float], _Clock], tuple[int, int, str]]] = {
    "score": _scoring,
    "finetune": _finetuning,
}


def _joined(job: JobStatus, words: list[str]) -> str:
    if job.is_over:
        words = [words[0], job.state]
    elif job.state == "pending":
        words.append("waiting for a worker")
    return " · ".join(words)


def _pace(pace: float, left: int, unit: str) -> list[str]:
    if not pace:
        return []
    return [f"{pace:,.1f} {unit}", f"ETA {_span(left / pace)}"]


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _warn_when_stuck(bar: Progress, clock: _Clock, done: int) -> None:
    if clock.warned or done or time.monotonic() - clock.began < _PATIENCE_S:
        return
    clock.warned = True
    settings = BrokerSettings()
    where = f"see {settings.log_file}" if settings.is_embedded else "is a `reviewmill worker` running?"
    bar.console.print(f"Nothing has moved for {_PATIENCE_S:.0f} s; {where}")
