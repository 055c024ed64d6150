"""`reviewmill results`: ask for predictions, in pages or all, for counts of them, or for what failed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection

from cli.answer import Answer
from cli.export_bar import watched
from cli.failed_rows import write_failures
from cli.formats import FORMATS, Column, destination, format_of
from cli.label_studio import model_to_correct, write_tasks
from cli.result_columns import columns_of, shown
from cli.result_counts import write_count, write_groups
from cli.result_options import check_together, failure_filter, result_filter, result_options
from db.cuts import Cut
from db.export import count_cheaply, labels_of_one_model, read_in_bulk
from db.failures import FailuresPage, count_failures
from db.result_filters import ResultFilter
from db.result_groups import find_groups, read_groups
from db.results import count_results, cursor_after_row, find_results, result_statement
from db.schema import open_database

Rows = Iterator[Sequence[Any]]
_Write = Callable[[Connection, dict[str, Any], Answer], int]
#: A table is for eyes; the other formats give everything unless told otherwise.
_TABLE_ROWS = 20
#: Tasks for people to correct, of one version.
_LABEL_STUDIO = "label-studio"
#: What tasks are not made of, and why.
_NO_TASKS = {
    "failures": "a row without a result has no answer to correct",
    "group_by": "people correct reviews, not groups",
    "count": "it is one document",
    "disagree": "a project is about one version",
}


@click.command("results")
@result_options
@click.option(
    "--format", "format_", type=click.Choice([*FORMATS, _LABEL_STUDIO]), help="Default: as FILE ends, else a table."
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--raw-csv", is_flag=True, help="Leave csv cells that a spreadsheet would run as formulas as they are.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write there, whole or not at all; .csv, .json, .jsonl, .ndjson, .parquet and .txt tell the format.",
)
def command(format_: str | None, as_json: bool, raw_csv: bool, output: Path | None, **given: Any) -> None:
    """Print predictions, with every label's probability, as a table, json, jsonl, csv, parquet or Label Studio's tasks.

    Options that narrow all hold at once.
    """
    check_together(given)
    format_ = format_of("json" if as_json else format_, output)
    if raw_csv and format_ != "csv":
        raise click.UsageError(f"--raw-csv is about csv, and this is {format_}")
    if given["limit"] is None and format_ == "table" and not given["group_by"]:
        given["limit"] = _TABLE_ROWS
    write, name = _asked(format_, given)
    # The file is opened first: a query may take minutes, and nobody wants to hear then that it was for nothing.
    with open_database().read() as connection, destination(format_, output) as file:
        answer = Answer(format_, file, output, raw_csv)
        count = write(connection, given, answer)
    if not given["count"]:
        answer.tell(count, name)


def _asked(format_: str, given: dict[str, Any]) -> tuple[_Write, str]:
    """Who answers, and what the answer is made of."""
    if format_ == _LABEL_STUDIO:
        for option, why in _NO_TASKS.items():
            if given[option]:
                raise click.UsageError(f"--{option.replace('_', '-')} does not go with --format {format_}: {why}")
        return _tasks, "task"
    if given["failures"]:
        return _failures, "failure"
    return (_groups, "group") if given["group_by"] else (_results, "prediction")


def _tasks(connection: Connection, given: dict[str, Any], answer: Answer) -> int:
    model = model_to_correct(connection, given["job"], given["model"])
    wanted = replace(result_filter(connection, {**given, "model": model.reference}), limit=given["limit"])
    return write_tasks(find_results(connection, wanted), answer.file, model)


def _failures(connection: Connection, given: dict[str, Any], answer: Answer) -> int:
    wanted = failure_filter(given)
    if given["count"]:
        return write_count(count_failures(connection, wanted), answer)
    return write_failures(FailuresPage(connection, wanted), wanted.limit is not None, answer)


def _groups(connection: Connection, given: dict[str, Any], answer: Answer) -> int:
    wanted = replace(result_filter(connection, given), limit=given["limit"])
    groups = read_groups(connection, given["group_by"])
    return write_groups(find_groups(connection, wanted, groups), groups, answer)


def _results(connection: Connection, given: dict[str, Any], answer: Answer) -> int:
    wanted, limit = result_filter(connection, given), given["limit"]
    if given["count"]:
        return write_count(count_results(connection, wanted), answer)
    if wanted.label is not None and wanted.sort is None and wanted.uncertain is None:
        wanted = replace(wanted, sort="-score")
    labels = labels_of_one_model(connection, wanted)
    if limit is None:
        return answer.write(*_shown(_rows(connection, wanted, answer), labels, answer))
    cut = Cut(_rows(connection, replace(wanted, limit=limit + 1), answer), limit)

    def cursor() -> str | None:
        last = cut.last_of_more
        return None if last is None else cursor_after_row(connection, wanted, last, limit)

    return answer.write_page("results", *_shown(iter(cut), labels, answer), cursor)


def _rows(connection: Connection, wanted: ResultFilter, answer: Answer) -> Rows:
    """The rows, with a bar for somebody who waits for a file."""
    batches = read_in_bulk(connection, result_statement(connection, wanted))

    def count() -> int | None:
        # Which texts have changed since is seen when they are read: some of these may be left out.
        return count_cheaply(connection, result_statement(connection, replace(wanted, current=False)))

    return chain.from_iterable(watched(batches, count, answer.output is not None))


def _shown(rows: Rows, labels: tuple[str, ...] | None, answer: Answer) -> tuple[list[Column], Rows]:
    return shown(rows) if answer.is_table else (columns_of(labels), rows)
