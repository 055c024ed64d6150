"""A copy of the whole database, taken while everybody works. Of a server its own tools make one."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from db.database import SQLITE_BUSY_TIMEOUT_MS, Database
from db.errors import BackupError


def back_up(database: Database, path: Path) -> int:
    """Write a copy of the SQLite database to a new file, as it is at one instant; return its size in bytes.

    Workers and producers go on meanwhile. The file appears whole or not at all. Raises BackupError where it is there
    already or cannot be written, and for a server's database.
    """
    if not database.is_sqlite:
        raise BackupError(f"{database.place} is a server's database: back it up with pg_dump (docs/operations.md)")
    if path.exists():
        raise BackupError(f"{path} is there already; a backup never overwrites a file")
    unfinished = path.with_name(f"{path.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        _copy(str(database.url.database), unfinished)
        # Another backup of that name may have come meanwhile: a link never replaces it, as a rename would.
        os.link(unfinished, path)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"the backup {path} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return path.stat().st_size


def _copy(file: str, target: Path) -> None:
    is_uri = file.startswith("file:")
    with closing(sqlite3.connect(file, uri=is_uri, timeout=SQLITE_BUSY_TIMEOUT_MS / 1000)) as connection:
        # One read transaction, without the room of deleted rows, and with nothing left in a log of its own.
        connection.execute("VACUUM INTO ?", (str(target),))
