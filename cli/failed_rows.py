"""`reviewmill results --failures`: the rows that got no result, and why."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TextIO

from cli.output import notes, one_line, print_table
from cli.records import write_records
from db.failures import FailedRow


def write_failures(failures: Iterable[FailedRow], format_: str, file: TextIO) -> None:
    """Write failures, a row each."""
    if format_ == "table":
        _write_table(failures, file)
    else:
        write_records(format_, map(_record, failures), file)


def _record(failure: FailedRow) -> dict[str, Any]:
    return asdict(failure) | {"created_at": failure.created_at.isoformat()}


def _write_table(failures: Iterable[FailedRow], file: TextIO) -> None:
    rows = [(one.job_id, one.row, one.external_id, one.stage, one_line(one.reason)) for one in failures]
    if not rows:
        notes.print("No failures match.")
    else:
        print_table(("job", "row", "id", "stage", "reason"), rows, numbers=("job", "row"), file=file)
