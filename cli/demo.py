"""`reviewmill demo`: the main job on real reviews, nothing faked."""

import os
import shutil
import sys
from pathlib import Path

import click

from cli.follow import follow_job
from cli.output import one_line, print_table, say
from cli.stack import running_stack
from cli.summary import finish, outcome
from db.database import Database
from db.errors import UnknownModel
from db.jobs import JobStatus, list_jobs
from db.registry import RegisteredModel, find_model
from db.results import Result, ResultFilter, find_results, label_counts
from db.schema import open_database
from producer.checkpoints import BaseCheckpoint, find_base
from producer.enqueue import Doorway, TrainingPlan
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Record, Source, open_source

NAME = "demo-sentiment"
SCORED_REVIEWS = 2_000
#: Chosen so that two cores reach 85% on held-out IMDb reviews well within five minutes. The single
#: sentences of Rotten Tomatoes teach sentiment at a tenth of the cost of a whole review.
TRAINING_REVIEWS = 4_400
#: One pass over so few reviews leaves little to over-learn, so nothing is dropped.
#: None are held out for a test: the reviews that are scored afterwards are one.
PLAN = TrainingPlan(
    NAME, batch_size=16, learning_rate=5e-5, max_length=128, dropout=0.0, validation_share=0.02, test_share=0.0
)
TRAINING, HELD_OUT = "demo:movies:train", "demo:imdb:test"
TEXT, LABEL, ID = "text", "label", "id"
_LABELS = ("negative", "positive")
_SHOWN = 3


@click.command("demo")
@click.option("--train", type=click.IntRange(min=32), default=TRAINING_REVIEWS, show_default=True, metavar="N")
@click.option("--reviews", type=click.IntRange(min=1), default=SCORED_REVIEWS, show_default=True, metavar="N")
def command(train: int, reviews: int) -> int:
    """Fine-tune MiniLM on N labelled reviews, then score N of IMDb that it never saw, all on this machine."""
    # Everything that can be missing is looked for before anything is started.
    training, held_out = open_source(TRAINING), open_source(HELD_OUT)
    database = open_database()
    base = find_base(database, "minilm")
    with running_stack() as app:
        doorway = Doorway(database, app, ProducerSettings())
        model = _reused(database) or _fine_tuned(doorway, training, base, train)
        if model is None:
            return 1
        job = _scored(doorway, held_out, model, reviews)
    if job.state != "done":
        return finish(database, job, as_json=False)
    _tell(database, job, model)
    return 0


def _fine_tuned(doorway: Doorway, source: Source, base: BaseCheckpoint, count: int) -> RegisteredModel | None:
    say(f"1. Fine-tuning the MiniLM encoder on {count:,} labelled reviews, half IMDb, half Rotten Tomatoes")
    job_id = _unfinished(doorway.database, "finetune", "name", NAME)
    if job_id is None:
        columns = Columns(text=TEXT, label=LABEL)
        job_id = doorway.enqueue_finetuning(source, columns, base, PLAN, limit=count)
    failed = finish(doorway.database, follow_job(doorway.database, job_id), as_json=False)
    return None if failed else _trained(doorway.database)


def _scored(doorway: Doorway, source: Source, model: RegisteredModel, count: int) -> JobStatus:
    say(f"\n2. Scoring {count:,} IMDb reviews that training never saw, with {model.reference}")
    job_id = _unfinished(doorway.database, "score", "model", model.reference)
    if job_id is None:
        job_id = doorway.enqueue_scoring(source, Columns(text=TEXT, id=ID), model, limit=count)
    return follow_job(doorway.database, job_id)


def _unfinished(database: Database, kind: str, param: str, value: str) -> int | None:
    """The job of an earlier demo that was left before its end, to be followed rather than made again."""
    with database.read() as connection:
        jobs = list_jobs(connection)
    for job in jobs:
        if job.kind == kind and not job.is_over and job.params[param] == value:
            say(f"Going on with job {job.id} of an earlier demo")
            return job.id
    return None


def _trained(database: Database) -> RegisteredModel:
    with database.read() as connection:
        return find_model(connection, NAME)


def _reused(database: Database) -> RegisteredModel | None:
    try:
        model = _trained(database)
    except UnknownModel:
        return None
    say(f"1. Reusing {model.reference}, fine-tuned by an earlier demo")
    return model


def _tell(database: Database, job: JobStatus, model: RegisteredModel) -> None:
    facts = outcome(database, job)
    with database.read() as connection:
        results = list(find_results(connection, ResultFilter(job_id=job.id)))
        counts = label_counts(connection, job.id)
        uncertain = list(find_results(connection, ResultFilter(job_id=job.id, uncertain=_SHOWN)))
    if job.reused:
        say(f"{job.reused:,} of them were scored by {model.reference} before, and are reused")
    speed = f", {facts['reviews_per_second']:,} reviews/s" if job.scored else ""
    say(f"{job.scored + job.reused:,} reviews in {facts['seconds']} s{speed}; {job.failed:,} failed\n")
    say(f"Accuracy against the known labels: {_accuracy(results):.1%}\n")
    print_table(("label", "reviews"), list(counts.items()), numbers=("reviews",))
    by_positive = sorted(results, key=lambda one: one.probabilities["positive"])
    _show("most negative", by_positive[:_SHOWN])
    _show("most positive", by_positive[: -_SHOWN - 1 : -1])
    _show("most uncertain", uncertain)
    _tell_what_next(database, job)


def _accuracy(results: list[Result]) -> float:
    known = {}
    for record in open_source(HELD_OUT).records():
        if isinstance(record, Record):
            known[record.values[ID]] = record.values[LABEL]
    return sum(known[one.external_id] == one.label for one in results) / len(results)


def _show(title: str, results: list[Result]) -> None:
    say(f"\nThe {_SHOWN} {title}")
    rows = [
        (one.external_id, *(f"{one.probabilities[label]:.4f}" for label in _LABELS), one_line(one.text))
        for one in results
    ]
    print_table(("id", *_LABELS, "text"), rows, numbers=_LABELS)


def _tell_what_next(database: Database, job: JobStatus) -> None:
    say(f"\nEverything is in the database {database.place}")
    say("Three commands to try next:")
    say(f"  {_program()} results --job {job.id} --label negative --min-probability 0.9 --limit 5")
    say(f"  {_program()} score demo:rotten_tomatoes:test --text text --id id --model {NAME} --limit 500")
    say(f"  {_program()} jobs list")


def _program() -> str:
    """How this shell reaches the command: by its name, or by its path where it is not on PATH."""
    if shutil.which("reviewmill"):
        return "reviewmill"
    return os.path.relpath(Path(sys.executable).parent / "reviewmill")
