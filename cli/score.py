"""`reviewmill score`: a source of reviews in, predictions in SQL out."""

import click
from celery import Celery

from cli.columns import find_text, keep_option, max_failures_option, mention_id, split_keep, text_option
from cli.estimate import make_estimate, show_estimate
from cli.output import json_option, notes
from cli.run_job import run_job
from db.schema import open_database
from db.tables import PRECISIONS, PRIORITIES
from producer.checkpoints import find_or_add_model
from producer.enqueue import Doorway
from producer.estimate import expected_rows
from producer.failure_limit import FailureLimit
from producer.rows import Columns, check_columns
from producer.settings import ProducerSettings
from producer.sources import Source, open_source
from producer.sources.named import NamedSource

#: Rows from which a person is told first what they are about to start.
_LARGE = 1_000_000


@click.command("score")
@click.argument("source")
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
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows only.")
@max_failures_option
@click.option("--no-wait", is_flag=True, help="Enqueue and return; follow with `jobs watch`.")
@json_option
def command(
    source: str,
    text: str | None,
    id_: str | None,
    pair: str | None,
    keep: tuple[str, ...],
    name: str | None,
    model: str | None,
    priority: str,
    precision: str | None,
    limit: int | None,
    max_failures: FailureLimit | None,
    no_wait: bool,
    as_json: bool,
) -> int:
    """Score every review of SOURCE: a .csv or .jsonl file, or demo:imdb[:test], demo:rotten_tomatoes[:test]."""
    reviews = open_source(source) if name is None else NamedSource(open_source(source), name)
    kept = split_keep(reviews, keep)
    columns = Columns(text=find_text(reviews, text, (id_, pair, *kept)), id=id_, pair=pair, keep=kept)
    check_columns(reviews, columns)
    mention_id(reviews, columns)
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
