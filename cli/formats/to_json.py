"""json: one array of objects, an object a line."""

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from cli.formats.columns import Column
from cli.formats.documents import documents


def write(columns: Sequence[Column], rows: Iterator[Sequence[Any]], file: TextIO) -> int:
    """Write the rows; returns how many."""
    count = 0
    file.write("[")
    for lines in documents(columns, rows):
        file.write((",\n" if count else "\n") + ",\n".join(lines))
        count += len(lines)
    file.write("\n]\n")
    return count
