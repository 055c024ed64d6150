"""jsonl: a JSON object a line."""

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from cli.formats.columns import Column
from cli.formats.documents import documents


def write(columns: Sequence[Column], rows: Iterator[Sequence[Any]], file: TextIO) -> int:
    """Write the rows; returns how many."""
    count = 0
    for lines in documents(columns, rows, after="\n"):
        file.writelines(lines)
        count += len(lines)
    return count
