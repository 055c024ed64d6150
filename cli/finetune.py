"""`reviewmill finetune`: labelled reviews in, a new model version out."""

import sys
from dataclasses import fields, replace
from typing import Any

import click
from celery import Celery

from cli.columns import max_failures_option, pair_option, text_option
from cli.distillation import distillation_options
from cli.names import names_a
from cli.notify import notify_option
from cli.on_done import check_on_done, on_done_option
from cli.output import json_option, notes, tell
from cli.reading import reading_options
from cli.run_job import run_job
from cli.training_check import show_training_check
from db.database import Database
from db.schema import open_database
from producer.checkpoints import DEFAULT_BASE
from producer.enqueue import Doorway, TrainingPlan
from producer.settings import ProducerSettings
from producer.training_options import CLASS_WEIGHTS, HIGHEST_RANK, METRICS
from producer.training_request import Training, TrainingRequest, find_training

#: Options that are said as the plan keeps them; of the others the request makes what the plan keeps.
_OF_THE_PLAN = {field.name for field in fields(TrainingPlan)} - {"validation_share", "test_share", "patience"}


@click.command("finetune")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@text_option
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="COL",
    help="Column with the right label; with --multi-label given several times: columns of 0 and 1, one a label.  "
    "[default: the obvious one, or none with a --teacher]",
)
@pair_option
@click.option("--multi-label", is_flag=True, help="A text may have several labels; in one column, '|' is between them.")
@click.option("--regression", is_flag=True, help="The label is a number, and the model tells one.")
@click.option("--name", required=True, callback=names_a("model"), help="Name of the model in the registry.")
@click.option("--base", help=f"minilm, a directory, a model or a hub id.  [default: {DEFAULT_BASE}, or the teacher]")
@click.option(
    "--layers",
    type=click.IntRange(1),
    metavar="N",
    help="Keep N of the base's encoder layers, evenly spread: fewer are faster.  [default: all]",
)
@distillation_options
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True)
@click.option(
    "--accumulate",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Batches that make one step: as if --batch-size were N times as large, in the memory of one batch.",
)
@click.option("--learning-rate", type=click.FloatRange(0, 1, min_open=True), default=5e-5, show_default=True)
@click.option(
    "--max-length",
    type=click.IntRange(8),
    help="Most tokens of a review read in training; fewer are faster. [default: the model's limit]",
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of activations dropped in training. [default: the base's]",
)
@click.option("--keep-head", is_flag=True, help="Keep the base's own head and labels; the data may have no others.")
@click.option("--validation", metavar="SOURCE", help="Source of the validation examples, instead of a share.")
@click.option("--test", metavar="SOURCE", help="Source of the test examples, instead of a share.")
@click.option(
    "--validation-split",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the texts to validate on, drawn by label; never trained on. [default: 0.1]",
)
@click.option(
    "--test-split",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of the texts to test on, likewise. [default: 0.1]",
)
@click.option(
    "--calibrate", is_flag=True, help="Fit a temperature on the held-out texts, so that 0.9 is right nine times in ten."
)
@click.option(
    "--class-weights",
    type=click.Choice(CLASS_WEIGHTS),
    default="none",
    show_default=True,
    help="balanced: every label counts for as much as any other, however rare it is.",
)
@click.option("--freeze", is_flag=True, help="Train the head only, and leave the encoder as it is: much faster.")
@click.option(
    "--lora-rank",
    type=click.IntRange(1, HIGHEST_RANK),
    metavar="N",
    help="Train adapters of rank N beside the encoder's query and value projections, and the head.",
)
@click.option(
    "--early-stopping",
    type=click.Choice(METRICS),
    help="Stop when this metric on the validation texts gets no better, and keep the best epoch's weights.",
)
@click.option(
    "--patience",
    type=click.IntRange(1),
    metavar="P",
    help="Epochs in a row that may be no better, with --early-stopping. [default: 1]",
)
@reading_options
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows of SOURCE only.")
@max_failures_option
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@notify_option
@on_done_option
@json_option
def command(no_wait: bool, on_done: str | None, as_json: bool, **options: Any) -> int:
    """Fine-tune a classifier on the labelled reviews of SOURCE (see `score` for what a source is).

    With a --teacher the reviews need no labels.
    """
    check_on_done(on_done, no_wait)
    database = open_database()
    asked = request(database, **options)
    # All is read and checked before anything is started.
    with notes.status("Reading reviews"):
        doorway = Doorway(database, None, ProducerSettings())
        job = asked.prepare(doorway)
    show_training_check(job.params, sys.stderr)

    def enqueue(app: Celery | None) -> int:
        return replace(doorway, app=app).enqueue(job)

    return run_job(database, enqueue, no_wait=no_wait, as_json=as_json, on_done=on_done)


def request(database: Database, **options: Any) -> Training:
    """What the command's options ask for. Raises what the rooms say of what is not there or does not go together."""
    plan = TrainingPlan(**{name: options.pop(name) for name in _OF_THE_PLAN})
    return find_training(database, TrainingRequest(plan=plan, **options), tell)
