"""The formats that rows are given in, one file each, behind one function: columns, rows, and where they go.

Results, failures, groups and whatever else has columns and rows are written by the same five.
"""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import IO, Any

from cli.formats.columns import Column, Kind, known_columns
from cli.formats.destination import destination
from cli.formats.names import FORMATS, format_of

__all__ = ["FORMATS", "Column", "Kind", "destination", "format_of", "write_rows"]


def write_rows(
    format_: str,
    columns: Sequence[Column | str],
    rows: Iterable[Sequence[Any]],
    file: IO[Any],
    *,
    raw_csv: bool = False,
) -> int:
    """Write the rows, as they come, to a file that `destination` opened for the format; returns how many there were.

    Values are as their column's kind says; of a column that is only named, the first rows tell the kind. `raw_csv`
    leaves csv cells that a spreadsheet would take for formulas as they are. Raises OSError where the file takes no
    more.
    """
    known, rows = known_columns(columns, rows)
    # Loaded when it is used: a page of results must not wait for the library of parquet.
    write = import_module(f"cli.formats.to_{format_}").write
    options = {"raw": True} if raw_csv and format_ == "csv" else {}
    with _no_search_for_cycles():
        return int(write(known, rows, file, **options))


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    # Rows by the million never refer to one another; to look whether they do takes a tenth of the time.
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
