"""`reviewmill results`: ask for predictions."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import IO, Any

import click
from sqlalchemy import Connection

from cli.export_bar import watched
from cli.formats import FORMATS, destination, format_of, write_rows
from cli.output import counted, tell
from cli.result_columns import columns_of, shown
from db.export import count_cheaply, labels_of_one_model, read_in_bulk
from db.kept import read_condition
from db.registry import find_model
from db.results import ResultFilter, result_statement
from db.schema import open_database

_PROBABILITY = click.FloatRange(0, 1)
#: A table is for eyes; the other formats give everything unless told otherwise.
_TABLE_ROWS = 20


@click.command("results")
@click.option("--job", type=click.IntRange(min=1), metavar="ID", help="Reviews of this job.")
@click.option("--model", metavar="M", help="NAME, NAME@VERSION or NAME@ALIAS.")
@click.option("--label", metavar="L", help="Reviews that got this label.")
@click.option("--min-probability", type=_PROBABILITY, metavar="P", help="Lowest probability of the label given.")
@click.option("--max-probability", type=_PROBABILITY, metavar="P", help="Highest probability of the label given.")
@click.option("--uncertain", type=click.IntRange(min=1), metavar="N", help="The N least certain, least first.")
@click.option("--since", type=click.DateTime(), metavar="T", help="Scored at or after this local time.")
@click.option(
    "--where",
    multiple=True,
    callback=lambda _context, _option, written: tuple(map(read_condition, written)),
    metavar="COND",
    help="Only reviews with COL=VALUE, in a column kept with `score --keep`; also !=, <, <=, > and >=. Repeatable.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Default: as FILE ends, else a table.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--raw-csv", is_flag=True, help="Leave csv cells that a spreadsheet would run as formulas as they are.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write there, whole or not at all; .csv, .json, .jsonl, .ndjson, .parquet and .txt tell the format.",
)
def command(
    job: int | None,
    model: str | None,
    since: datetime | None,
    limit: int | None,
    format_: str | None,
    as_json: bool,
    raw_csv: bool,
    output: Path | None,
    **narrowing: Any,
) -> None:
    """Print predictions, with every label's probability, as a table, json, jsonl, csv or parquet."""
    format_ = format_of("json" if as_json else format_, output)
    if raw_csv and format_ != "csv":
        raise click.UsageError(f"--raw-csv is about csv, and this is {format_}")
    if limit is None and format_ == "table":
        limit = _TABLE_ROWS
    # The file is opened first: a query may take minutes, and nobody wants to hear then that it was for nothing.
    with open_database().read() as connection, destination(format_, output) as file:
        model_id = find_model(connection, model).id if model else None
        # A naive time given by a person is a local one.
        moment = since.astimezone(UTC) if since else None
        wanted = ResultFilter(job_id=job, model_id=model_id, since=moment, limit=limit, **narrowing)
        count = _write(connection, wanted, format_, file, output is not None, raw_csv)
    _tell(count, format_, output)


def _write(
    connection: Connection, wanted: ResultFilter, format_: str, file: IO[Any], has_bar: bool, raw_csv: bool
) -> int:
    """Write what is wanted to a file of the format; returns how many predictions."""
    statement = result_statement(connection, wanted)
    batches = read_in_bulk(connection, statement)
    rows: Iterator[Sequence[Any]] = chain.from_iterable(
        watched(batches, lambda: count_cheaply(connection, statement), has_bar)
    )
    if format_ == "table":
        columns, rows = shown(rows)
    else:
        columns = columns_of(labels_of_one_model(connection, wanted))
    return write_rows(format_, columns, rows, file, raw_csv=raw_csv)


def _tell(count: int, format_: str, output: Path | None) -> None:
    if output is not None:
        tell(f"{counted(count, 'prediction')} written to {output} as {format_}")
    elif not count and format_ == "table":
        tell("No predictions match.")
