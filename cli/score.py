"""`reviewmill score`: a source of reviews in, predictions in SQL out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import click
from celery import Celery

from cli.output import json_option, notes
from cli.reading import open_reviews, reading_options
from cli.run_job import run_job
from db.database import Database
from db.jobs import NewJob
from db.registry import RegisteredModel
from db.schema import open_database
from db.tables import PRECISIONS, PRIORITIES
from producer.checkpoints import find_or_add_model
from producer.enqueue import Doorway
from producer.rows import Columns, check_columns
from producer.settings import ProducerSettings
from producer.sources import Source


@click.command("score")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--text", required=True, metavar="COL", help="Column with the review's text.")
@click.option("--id", "id_", metavar="COL", help="Column with your own id; without it the text makes one.")
@click.option("--pair", metavar="COL", help="Column with a second text, for models that compare two.")
@click.option("--model", metavar="M", help="NAME, NAME@VERSION, NAME@ALIAS, a hub id or a directory.")
@click.option("--priority", type=click.Choice(PRIORITIES), default="normal", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Number format on CPUs: auto takes the fastest that says what float32 says.  [default: the workers' setting]",
)
@reading_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows only.")
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@json_option
def command(no_wait: bool, as_json: bool, **options: Any) -> int:
    """Score every review of a source.

    A SOURCE is a .csv, .tsv, .jsonl or .parquet file or URL (https, s3, gs), compressed or not, a directory or 'glob*'
    of them, - for standard input, hf:NAME[:SPLIT], sql:URL?table=TABLE, sql:URL?query=QUERY, demo:imdb[:test] or
    demo:rotten_tomatoes[:test]. Several are read one after the other.
    """
    database = open_database()
    # Before any stack starts: a model that is not there costs no waiting.
    asked = request(database, **options)

    def enqueue(app: Celery | None) -> int:
        with notes.status("Reading reviews"):
            doorway = Doorway(database, app, ProducerSettings())
            return doorway.enqueue(asked.prepare(doorway))

    return run_job(database, enqueue, no_wait=no_wait, as_json=as_json)


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """A scoring that was asked for: its source can be opened, and its model is there."""

    source: Source
    columns: Columns
    model: RegisteredModel
    options: dict[str, Any]

    def prepare(self, doorway: Doorway, earlier: Collection[int] | None = None) -> NewJob:
        """Read the source. With `earlier`, ids of model versions, what they or the model scored is left out."""
        scored_by = () if earlier is None else {self.model.id, *earlier}
        return doorway.prepare_scoring(self.source, self.columns, self.model, **self.options, scored_by=scored_by)


def request(
    database: Database,
    *,
    sources: tuple[str, ...],
    text: str,
    id_: str | None,
    pair: str | None,
    model: str | None,
    priority: str,
    precision: str | None,
    encoding: str | None,
    delimiter: str | None,
    limit: int | None,
) -> ScoringRequest:
    """What the command's options ask for. Raises what the producer and the database say of what is not there."""
    columns = Columns(text=text, id=id_, pair=pair)
    reviews = open_reviews(*sources, encoding=encoding, delimiter=delimiter)
    check_columns(reviews, columns)
    options = {"asked": model, "priority": priority, "precision": precision, "limit": limit}
    return ScoringRequest(reviews, columns, find_or_add_model(database, model), options)
