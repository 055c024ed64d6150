"""`reviewmill score`: a source of reviews in, predictions in SQL out."""

import click
from celery import Celery

from cli.columns import find_text, keep_option, max_failures_option, mention_id, split_keep, text_option
from cli.estimate import make_estimate, show_estimate
from cli.output import json_option, notes
from cli.reading import open_reviews, reading_options
from cli.run_job import run_job
from db.schema import open_database
from db.tables import PRECISIONS, PRIORITIES
from producer.checkpoints import find_or_add_model
from producer.enqueue import Doorway
from producer.estimate import expected_rows
from producer.failure_limit import FailureLimit
from producer.rows import Columns, check_columns
from producer.settings import ProducerSettings
from producer.sources import Source
from producer.sources.named import NamedSource

#: Rows from which a person is told first what they are about to start.
_LARGE = 1_000_000


@click.command("score")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@text_option
@click.option("--id", "id_", metavar="COL", help="Column with your own id; without it the text makes one.")
@click.option("--pair", metavar="COL", help="Column with a second text, for models that compare two.")
@keep_option
@click.option("--source", "name", metavar="NAME", help="Store the reviews under this name.  [default: SOURCE's own]")
@click.option("--model", metavar="M", help="NAME, NAME@VERSION, NAME@ALIAS, a hub id or a directory.")
@click.option("--priority", type=click.Choice(PRIORITIES), default="normal", show_default=True)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Number format on CPUs: auto takes the fastest that says what float32 says.  [default: the workers' setting]",
)
@reading_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows only.")
@max_failures_option
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@json_option
def command(
    sources: tuple[str, ...],
    text: str | None,
    id_: str | None,
    pair: str | None,
    keep: tuple[str, ...],
    name: str | None,
    model: str | None,
    priority: str,
    precision: str | None,
    encoding: str | None,
    delimiter: str | None,
    limit: int | None,
    max_failures: FailureLimit | None,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Score every review of a source.

    A SOURCE is a .csv, .tsv, .jsonl or .parquet file or URL (https, s3, gs), compressed or not, a directory or 'glob*'
    of them, - for standard input, hf:NAME[:SPLIT], sql:URL?table=TABLE, sql:URL?query=QUERY, demo:imdb[:test] or
    demo:rotten_tomatoes[:test]. Several are read one after the other.
    """
    reviews = open_reviews(*sources, encoding=encoding, delimiter=delimiter)
    kept = split_keep(reviews, keep)
    columns = Columns(text=find_text(reviews, text, (id_, pair, *kept)), id=id_, pair=pair, keep=kept)
    check_columns(reviews, columns)
    mention_id(reviews, columns)
    if name is not None:
        reviews = NamedSource(reviews, name)
    database = open_database()
    # Before any stack starts: a model that is not there costs no waiting.
    chosen = find_or_add_model(database, model)
    if _is_large(reviews, limit):
        show_estimate(make_estimate(database, reviews, columns, chosen, limit=limit), notes)

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
                limit=limit,
                max_failures=max_failures,
            )

    return run_job(database, enqueue, no_wait=no_wait, as_json=as_json)


def _is_large(source: Source, limit: int | None) -> bool:
    if limit is not None and limit <= _LARGE:
        return False
    rows = expected_rows(source, limit)
    return rows is not None and rows > _LARGE
