"""Rows and reviews that got no result, and why."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from db.cursors import read_cursor, write_cursor
from db.errors import BadFilter
from db.jobs import job_status
from db.tables import Failure


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Which failures are wanted; every field narrows. `since` counts with, `until` does not.

    `after` is the cursor that the page before ended with.
    """

    job_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A row of a job's source, counted from 1, or a review that was refused while it was read, or failed in scoring."""

    id: int
    job_id: int
    row: int | None
    external_id: str | None
    stage: str
    reason: str
    created_at: datetime


_COLUMNS = [getattr(Failure, field) for field in FailedRow.__slots__]


class FailuresPage:
    """The failures that pass, in the order in which they came, streamed: of all jobs, or of one of any kind.

    `next` is, once they are read to their end, the cursor of those beyond the limit, and None where there are none.
    Making one raises UnknownJob, BadFilter and BadCursor.
    """

    def __init__(self, connection: Connection, wanted: FailureFilter) -> None:
        self._wanted = wanted
        self.next: str | None = None
        statement = select(*_COLUMNS).where(*_conditions(connection, wanted)).order_by(Failure.id)
        if wanted.after is not None:
            statement = statement.where(Failure.id > read_cursor(_question(wanted), wanted.after)[0])
        if wanted.limit is not None:
            statement = statement.limit(wanted.limit + 1)
        self._rows = connection.execution_options(yield_per=1_000).execute(statement)

    def __iter__(self) -> Iterator[FailedRow]:
        last = None
        for row in islice(self._rows, self._wanted.limit):
            last = FailedRow(*row)
            yield last
        if last is not None and next(self._rows, None) is not None:
            self.next = write_cursor(_question(self._wanted), [last.id])


def count_failures(connection: Connection, wanted: FailureFilter) -> int:
    """How many failures pass. Raises UnknownJob and BadFilter."""
    conditions = _conditions(connection, wanted)
    return connection.scalar(select(func.count()).select_from(Failure).where(*conditions)) or 0


def _conditions(connection: Connection, wanted: FailureFilter) -> list[ColumnElement[Any]]:
    if wanted.since is not None and wanted.until is not None and wanted.since >= wanted.until:
        raise BadFilter("nothing failed since a time and before it: the time to begin with is not the earlier one")
    conditions: list[ColumnElement[Any]] = []
    if wanted.job_id is not None:
        conditions.append(Failure.job_id == job_status(connection, wanted.job_id).id)
    if wanted.since is not None:
        conditions.append(Failure.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(Failure.created_at < wanted.until)
    return conditions


def _question(wanted: FailureFilter) -> FailureFilter:
    """What is the same for all pages."""
    return replace(wanted, limit=None, after=None)
