"""What all deletions share: which tables refer to which, the lock beside new jobs, and the account of what goes.

A job is made over many transactions: its reviews are stored first, and found again where they were there before.
Neither that nor a retry may happen in the very moment in which a deletion looks whether somebody needs what it deletes.
SQLite has one writer at a time anyway; on PostgreSQL both sides take the lock below.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, func, select

from db.tables import Base

#: Any number that nothing else of this database locks by; migrations have another.
_LOCK = 7_206_211
#: Between two tries for the lock. It is tried for rather than waited for: whoever waits holds up all who come after.
_TRY_AGAIN_S = 0.02


def lock_beside_deletions(connection: Connection) -> None:
    """Keep deletions out until the transaction ends, beside others that do so."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock_shared(_LOCK)))


def lock_for_deletion(connection: Connection) -> None:
    """Wait for a moment in which nobody stores reviews, makes a job or retries one, and keep it until the end."""
    if connection.dialect.name == "postgresql":
        while not connection.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
            time.sleep(_TRY_AGAIN_S)


def columns_referring_to(table: type[Base]) -> Iterator[Column[Any]]:
    """The columns with a foreign key to the table, of whatever tables there are."""
    for other in Base.metadata.sorted_tables:
        for column in other.columns:
            if any(key.column.table is table.__table__ for key in column.foreign_keys):
                yield column


def is_cascade(column: Column[Any]) -> bool:
    """Whether rows go with the one that this column refers to, or forget it: nothing then stands in its way."""
    return all(key.ondelete in ("CASCADE", "SET NULL") for key in column.foreign_keys)


@dataclass(slots=True)
class Doomed:
    """Rows of a table that a deletion takes: how many, of what times, and one of them in words."""

    rows: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    example: str | None = None

    def add(self, rows: int, times: Sequence[datetime | None]) -> None:
        """Count further rows, and the times of such as have one."""
        self.rows += rows
        known = [moment for moment in (*times, self.oldest, self.newest) if moment is not None]
        self.oldest, self.newest = min(known, default=None), max(known, default=None)


@dataclass(slots=True)
class Account:
    """What a deletion takes, by table."""

    tables: dict[str, Doomed] = field(default_factory=dict)

    def of(self, table: str) -> Doomed:
        """The account of one table."""
        return self.tables.setdefault(table, Doomed())

    @property
    def rows(self) -> int:
        """All rows together."""
        return sum(doomed.rows for doomed in self.tables.values())
