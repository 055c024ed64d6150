"""json: one array of objects, an object a line."""

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from cli.formats.columns import Column
from cli.formats.documents import documents


def write(columns: Sequence[Column], rows: Iterator[Sequence[Any]], file: TextIO) -> int:
    """Write the rows; returns how many."""
    count = 0
    file.write("[")
    for lines in documents(columns, rows, before=",\n"):
        if not count:
            lines[0] = lines[0].removeprefix(",")
        file.writelines(lines)
        count += len(lines)
    file.write("\n]\n")
    return count
