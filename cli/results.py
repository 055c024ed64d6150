"""`reviewmill results`: ask for predictions."""

import csv
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click

from cli.label_studio import model_to_correct, write_tasks
from cli.output import notes, one_line, print_table, to_json, written_whole
from db.kept import read_condition
from db.registry import find_model
from db.results import Result, ResultFilter, find_results
from db.schema import open_database

#: Tasks for people to correct, of one model.
LABEL_STUDIO = "label-studio"
_Write = Callable[[Iterable[Result], TextIO], None]
_PROBABILITY = click.FloatRange(0, 1)
#: A table is for eyes; the other formats give everything unless told otherwise.
_TABLE_ROWS = 20
FORMATS = ("table", "csv", "jsonl", "json", LABEL_STUDIO)


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
@click.option("--format", "format_", type=click.Choice(FORMATS), default="table")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
def command(
    job: int | None,
    model: str | None,
    since: datetime | None,
    limit: int | None,
    format_: str,
    as_json: bool,
    output: Path | None,
    **narrowing: Any,
) -> None:
    """Print predictions, with every label's probability, as a table, csv, jsonl, json or tasks of Label Studio."""
    format_ = "json" if as_json else format_
    if limit is None and format_ == "table":
        limit = _TABLE_ROWS
    with open_database().read() as connection:
        model_id = find_model(connection, model).id if model else None
        write: _Write
        if format_ == LABEL_STUDIO:
            corrected = model_to_correct(connection, job, model)
            model_id, write = corrected.id, partial(write_tasks, model=corrected)
        else:
            write = _WRITERS[format_]
        # A naive time given by a person is a local one.
        moment = since.astimezone(UTC) if since else None
        wanted = ResultFilter(job_id=job, model_id=model_id, since=moment, limit=limit, **narrowing)
        results = find_results(connection, wanted)
        with written_whole(output) if output else nullcontext(sys.stdout) as file:
            write(results, file)


def _write_table(results: Iterable[Result], file: TextIO) -> None:
    rows = [(one.external_id, one.label, f"{one.score:.4f}", one.model, one_line(one.text)) for one in results]
    if not rows:
        notes.print("No predictions match.")
    else:
        print_table(("id", "label", "score", "model", "text"), rows, numbers=("score",), file=file)


def _write_csv(results: Iterable[Result], file: TextIO) -> None:
    writer = csv.writer(file)
    for number, one in enumerate(results):
        document = _document(one)
        if number == 0:
            writer.writerow(document)
        for name in ("probabilities", "metadata"):
            document[name] = None if document[name] is None else to_json(document[name])
        writer.writerow(document.values())


def _write_jsonl(results: Iterable[Result], file: TextIO) -> None:
    for one in results:
        file.write(to_json(_document(one)) + "\n")


def _write_json(results: Iterable[Result], file: TextIO) -> None:
    file.write("[")
    for number, one in enumerate(results):
        file.write((",\n" if number else "\n") + to_json(_document(one)))
    file.write("\n]\n")


def _document(result: Result) -> dict[str, Any]:
    return asdict(result) | {"scored_at": result.scored_at.isoformat()}


_WRITERS: dict[str, _Write] = {
    "table": _write_table,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "json": _write_json,
}
