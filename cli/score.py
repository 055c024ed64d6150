"""`reviewmill score`: a source of reviews in, predictions in SQL out."""

from dataclasses import fields
from typing import Any

import click
from celery import Celery

from cli.columns import columns_options, max_failures_option
from cli.estimate import make_estimate, show_estimate
from cli.notify import notify_option
from cli.on_done import check_on_done, on_done_option
from cli.output import json_option, notes, tell
from cli.reading import reading_options
from cli.run_job import run_job
from db.database import Database
from db.schema import open_database
from db.tables import PRECISIONS, PRIORITIES, READINGS, TRUNCATE
from producer.enqueue import Doorway
from producer.estimate import expected_rows
from producer.reviews_request import ReviewsRequest
from producer.scoring_request import Scoring, ScoringOptions, find_scoring
from producer.settings import ProducerSettings

#: Rows from which a person is told first what they are about to start.
_LARGE = 1_000_000
_OF_THE_REVIEWS = {field.name for field in fields(ReviewsRequest)}


@click.command("score")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@columns_options
@click.option("--source", "name", metavar="NAME", help="Store the reviews under this name.  [default: SOURCE's own]")
@click.option("--model", metavar="M", help="NAME, NAME@VERSION, NAME@ALIAS, a hub id or a directory.")
@click.option("--priority", type=click.Choice(PRIORITIES), default="normal", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Number format on CPUs: auto takes the fastest that says what float32 says.  [default: the workers' setting]",
)
@click.option(
    "--long",
    type=click.Choice(READINGS),
    default=TRUNCATE,
    show_default=True,
    help="Texts beyond the model's limit: cut them, read head and tail, or all in overlapping windows.",
)
@reading_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows only.")
@max_failures_option
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@notify_option
@on_done_option
@json_option
def command(no_wait: bool, on_done: str | None, as_json: bool, **options: Any) -> int:
    """Score every review of a source.

    A SOURCE is a .csv, .tsv, .jsonl or .parquet file or URL (https, s3, gs), compressed or not, a directory or 'glob*'
    of them, - for standard input, hf:NAME[:SPLIT], sql:URL?table=TABLE, sql:URL?query=QUERY, demo:imdb[:test] or
    demo:rotten_tomatoes[:test]. Several are read one after the other.
    """
    check_on_done(on_done, no_wait)
    database = open_database()
    # Before any stack starts: a model that is not there costs no waiting.
    asked = request(database, **options)
    if _is_large(asked):
        limit = asked.options.limit
        show_estimate(make_estimate(database, asked.source, asked.columns, asked.model, limit=limit), notes)

    def enqueue(app: Celery | None) -> int:
        with notes.status("Reading reviews"):
            doorway = Doorway(database, app, ProducerSettings())
            return doorway.enqueue(asked.prepare(doorway))

    return run_job(database, enqueue, no_wait=no_wait, as_json=as_json, on_done=on_done)


def request(database: Database, **options: Any) -> Scoring:
    """What the command's options ask for. Raises what the rooms say of what is not there."""
    reviews = ReviewsRequest(**{name: options.pop(name) for name in _OF_THE_REVIEWS})
    return find_scoring(database, reviews, ScoringOptions(**options), tell)


def _is_large(asked: Scoring) -> bool:
    limit = asked.options.limit
    if limit is not None and limit <= _LARGE:
        return False
    rows = expected_rows(asked.source, limit)
    return rows is not None and rows > _LARGE
