"""`reviewmill results --failures`: the rows that got no result, and why."""

from operator import attrgetter

from cli.answer import Answer
from cli.formats import Column, Kind
from db.failures import FailedRow, FailuresPage

_COLUMNS = (
    Column("id", Kind.INTEGER),
    Column("job_id", Kind.INTEGER),
    Column("row", Kind.INTEGER),
    Column("external_id", Kind.TEXT),
    Column("stage", Kind.NAME),
    Column("reason", Kind.TEXT),
    Column("created_at", Kind.TIME),
)
#: What a table calls the fields that it has room for.
_SHOWN = {
    "job_id": Column("job", Kind.INTEGER),
    "row": Column("row", Kind.INTEGER),
    "external_id": Column("id", Kind.TEXT),
    "stage": Column("stage", Kind.NAME),
    "reason": Column("reason", Kind.TEXT),
}


def write_failures(page: FailuresPage, is_cut: bool, answer: Answer) -> int:
    """Write failures, a row each; `is_cut` where no more than a page was asked for. Returns how many."""
    columns = [*_SHOWN.values()] if answer.is_table else [*_COLUMNS]
    rows = map(attrgetter(*(_SHOWN if answer.is_table else FailedRow.__slots__)), page)
    if is_cut:
        return answer.write_page("failures", columns, rows, lambda: page.next)
    return answer.write(columns, rows)
