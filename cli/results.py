"""`reviewmill results`: ask for predictions, in pages, counted, or those that failed."""

import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

import click
from sqlalchemy import Connection

from cli.failed_rows import write_failures
from cli.output import notes, one_line, print_table, tell, to_json, written_whole
from cli.records import write_records
from cli.result_counts import write_count, write_groups
from cli.result_options import check_together, failure_filter, result_filter, result_options
from db.failures import FailuresPage, count_failures
from db.result_groups import find_groups, read_groups
from db.results import Page, Result, count_results, find_results
from db.schema import open_database

#: A table is for eyes; the other formats give everything unless told otherwise.
_TABLE_ROWS = 20


@click.command("results")
@result_options
@click.option("--format", "format_", type=click.Choice(["table", "csv", "jsonl", "json"]), default="table")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
def command(format_: str, as_json: bool, output: Path | None, **given: Any) -> None:
    """Print predictions, with every label's probability, as a table, csv, jsonl or json.

    Options that narrow all hold at once: docs/filters.md tells of each.
    """
    check_together(given)
    format_ = "json" if as_json else format_
    if given["limit"] is None and format_ == "table" and not given["group_by"]:
        given["limit"] = _TABLE_ROWS
    answer = _failures if given["failures"] else _groups if given["group_by"] else _results
    with open_database().read() as connection, written_whole(output) if output else nullcontext(sys.stdout) as file:
        answer(connection, given, format_, file)


def _failures(connection: Connection, given: dict[str, Any], format_: str, file: TextIO) -> None:
    wanted = failure_filter(given)
    if given["count"]:
        write_count(count_failures(connection, wanted), format_, file)
    else:
        _write_page(FailuresPage(connection, wanted), "failures", write_failures, wanted.limit, format_, file)


def _groups(connection: Connection, given: dict[str, Any], format_: str, file: TextIO) -> None:
    wanted = replace(result_filter(connection, given), limit=given["limit"])
    groups = read_groups(connection, given["group_by"])
    write_groups(find_groups(connection, wanted, groups), groups, format_, file)


def _results(connection: Connection, given: dict[str, Any], format_: str, file: TextIO) -> None:
    wanted, limit = result_filter(connection, given), given["limit"]
    if given["count"]:
        write_count(count_results(connection, wanted), format_, file)
        return
    if wanted.label is not None and wanted.sort is None and wanted.uncertain is None:
        wanted = replace(wanted, sort="-score")
    if limit is None:
        _write_results(find_results(connection, wanted), format_, file)
    else:
        _write_page(Page(connection, wanted, limit), "results", _write_results, limit, format_, file)


def _write_page(
    page: Page | FailuresPage,
    name: str,
    write: Callable[[Any, str, TextIO], None],
    limit: int | None,
    format_: str,
    file: TextIO,
) -> None:
    """Write a page, and how to come to the next: in a JSON document, and beside other formats."""
    if format_ == "json" and limit is not None:
        file.write(f'{{"{name}": ')
        write(page, format_, file)
        file.write(f', "next": {to_json(page.next)}}}\n')
        return
    write(page, format_, file)
    if page.next is not None:
        tell(f"There are more: the same with --after {page.next}")


def _write_results(results: Iterable[Result], format_: str, file: TextIO) -> None:
    if format_ == "table":
        _write_table(results, file)
    else:
        write_records(format_, (_document(one, format_) for one in results), file)


def _write_table(results: Iterable[Result], file: TextIO) -> None:
    rows = [(one.external_id, one.label, f"{one.score:.4f}", one.model, one_line(one.text)) for one in results]
    if not rows:
        notes.print("No predictions match.")
    else:
        print_table(("id", "label", "score", "model", "text"), rows, numbers=("score",), file=file)


def _document(result: Result, format_: str) -> dict[str, Any]:
    document = asdict(result) | {"scored_at": result.scored_at.isoformat()}
    if format_ == "csv":
        for name in ("probabilities", "metadata"):
            document[name] = None if document[name] is None else to_json(document[name])
    return document
