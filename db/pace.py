"""Long work on the database beside others: in transactions that are short, with a pause after each."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from db.database import Database
from db.deletion import lock_for_deletion

#: What one transaction may take. SQLite has no queue for its one writer: those who wait look every tenth of a second.
_TARGET_S = 0.05
_FEWEST_ROWS, _MOST_ROWS = 100, 2_000


class Pace:
    """How many rows the next transaction may change, by how long the last ones took. `longest_s` is for people."""

    first_rows = 1_000

    def __init__(self) -> None:
        self.rows = self.first_rows
        self.longest_s = 0.0

    @contextmanager
    def transaction(self, database: Database) -> Iterator[Connection]:
        """A transaction that deletes; afterwards others have their turn for as long as it took."""
        with database.write() as connection:
            lock_for_deletion(connection)
            began = time.monotonic()
            yield connection
        took_s = time.monotonic() - began
        self.longest_s = max(self.longest_s, took_s)
        if took_s > _TARGET_S:
            self.rows = max(self.rows // 2, _FEWEST_ROWS)
        elif took_s < _TARGET_S / 2:
            self.rows = min(self.rows * 2, _MOST_ROWS)
        time.sleep(took_s)
