"""`reviewmill score`: a source of reviews in, predictions in SQL out."""

import click
from celery import Celery

from cli.notify import notify_option
from cli.on_done import check_on_done, on_done_option
from cli.output import json_option, notes
from cli.reading import open_reviews, reading_options
from cli.run_job import run_job
from db.schema import open_database
from db.tables import PRECISIONS, PRIORITIES, READINGS, TRUNCATE
from producer.checkpoints import find_or_add_model
from producer.enqueue import Doorway
from producer.rows import Columns, check_columns
from producer.settings import ProducerSettings


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
@click.option(
    "--long",
    type=click.Choice(READINGS),
    default=TRUNCATE,
    show_default=True,
    help="Texts beyond the model's limit: cut them, read head and tail, or all in overlapping windows.",
)
@reading_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows only.")
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@notify_option
@on_done_option
@json_option
def command(
    sources: tuple[str, ...],
    text: str,
    id_: str | None,
    pair: str | None,
    model: str | None,
    priority: str,
    precision: str | None,
    long: str,
    encoding: str | None,
    delimiter: str | None,
    limit: int | None,
    no_wait: bool,
    notify: str | None,
    on_done: str | None,
    as_json: bool,
) -> int:
    """Score every review of a source.

    A SOURCE is a .csv, .tsv, .jsonl or .parquet file or URL (https, s3, gs), compressed or not, a directory or 'glob*'
    of them, - for standard input, hf:NAME[:SPLIT], sql:URL?table=TABLE, sql:URL?query=QUERY, demo:imdb[:test] or
    demo:rotten_tomatoes[:test]. Several are read one after the other.
    """
    check_on_done(on_done, no_wait)
    columns = Columns(text=text, id=id_, pair=pair)
    reviews = open_reviews(*sources, encoding=encoding, delimiter=delimiter)
    check_columns(reviews, columns)
    database = open_database()
    # Before any stack starts: a model that is not there costs no waiting.
    chosen = find_or_add_model(database, model)

    def enqueue(app: Celery | None) -> int:
        with notes.status("Reading reviews"):
            doorway = Doorway(database, app, ProducerSettings())
            return doorway.enqueue_scoring(
                reviews,
                columns,
                chosen,
                asked=model,
                priority=priority,
                precision=precision,
                long=long,
                limit=limit,
                notify=notify,
            )

    return run_job(database, enqueue, no_wait=no_wait, as_json=as_json, on_done=on_done)
