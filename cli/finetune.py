"""`reviewmill finetune`: labelled reviews in, a new model version out."""

import click
from celery import Celery

from cli.output import json_option, notes
from cli.run_job import run_job
from db.schema import open_database
from producer.checkpoints import DEFAULT_BASE, find_base
from producer.enqueue import Doorway, TrainingPlan
from producer.rows import Columns, check_columns
from producer.settings import ProducerSettings
from producer.sources import open_source

_NAME = r"letters, digits, '.', '_' and '-'"


def _check_name(_context: click.Context, _option: click.Parameter, name: str) -> str:
    # The name becomes a folder and stands before the @ of a reference.
    plain = name.replace(".", "").replace("_", "").replace("-", "")
    if not (plain.isascii() and plain.isalnum()) or name.startswith("."):
        raise click.BadParameter(f"{name!r} cannot name a model; use {_NAME}")
    return name


@click.command("finetune")
@click.argument("source")
@click.option("--text", required=True, metavar="COL", help="Column with the review's text.")
@click.option("--label", required=True, metavar="COL", help="Column with the right label.")
@click.option("--pair", metavar="COL", help="Column with a second text.")
@click.option("--name", required=True, callback=_check_name, help="Name of the model in the registry.")
@click.option("--base", default=DEFAULT_BASE, show_default=True, help="minilm, a directory, a model or a hub id.")
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=16, show_default=True)
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
@click.option(
    "--validation-split",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the texts that training never sees.",
)
@click.option(
    "--calibrate", is_flag=True, help="Fit a temperature on the held-out texts, so that 0.9 is right nine times in ten."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows only.")
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@json_option
def command(
    source: str,
    text: str,
    label: str,
    pair: str | None,
    base: str,
    limit: int | None,
    no_wait: bool,
    as_json: bool,
    validation_split: float,
    **plan: object,
) -> int:
    """Fine-tune a classifier on the labelled reviews of SOURCE (see `score` for what a source is)."""
    columns = Columns(text=text, label=label, pair=pair)
    reviews = open_source(source)
    check_columns(reviews, columns)
    database = open_database()
    checkpoint = find_base(database, base)
    training = TrainingPlan(validation_share=validation_split, **plan)  # type: ignore[arg-type]

    def enqueue(app: Celery | None) -> int:
        with notes.status("Reading reviews"):
            doorway = Doorway(database, app, ProducerSettings())
            return doorway.enqueue_finetuning(reviews, columns, checkpoint, training, limit=limit)

    return run_job(database, enqueue, no_wait=no_wait, as_json=as_json)
