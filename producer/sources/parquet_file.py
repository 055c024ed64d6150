"""Parquet files, read batch by batch."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow
import pyarrow.parquet as parquet

from producer.errors import SourceError
from producer.sources.base import Record, Unreadable
from producer.sources.bounds import MAX_COLUMNS, UnpacksTooFar
from producer.sources.content import Content
from producer.sources.decimals import as_number
from producer.sources.file_source import FileSource
from producer.sources.parquet_bounds import RowsTooLarge, check_columns_unpack, rows_at_a_time

#: A column is read in pieces of this size rather than a row group at once, which may be all of the file.
_BUFFER_BYTES = 2**20
#: Stands for a value that could not be made one of Python.
_UNREADABLE = object()


class ParquetSource(FileSource):
    """A parquet file; `row` counts its rows from 1.

    Values come as Python has them: numbers (decimal ones as whole ones or floats), times, lists, dictionaries. A row
    with one that Python cannot hold, text that is not UTF-8 perhaps, comes out as Unreadable. Memory stays flat. Where
    the file cannot be read in any order, since it is compressed as a whole or comes from a web server, it is copied to
    a temporary file first.

    Raises SourceError for a file that is no parquet, or has two columns of the same name.
    """

    def __init__(self, content: Content) -> None:
        super().__init__(content)
        with self._opened() as (_, file):
            self._columns: list[str] = file.schema_arrow.names
            self._rows: int = file.metadata.num_rows
        if len(self._columns) > MAX_COLUMNS:
            raise SourceError(f"{content.shown} has {len(self._columns):,} columns; at most {MAX_COLUMNS:,} are read")
        for name in self._columns:
            if self._columns.count(name) > 1:
                raise SourceError(f"{content.shown} names {name!r} more than once; every column needs its own name")
        self._told = 0

    def columns(self) -> list[str] | None:
        """Return the columns in order."""
        return list(self._columns)

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Every row in order, with the columns of `only` where it is given."""
        wanted = self._columns if only is None else [name for name in self._columns if name in only]
        return self.content.told(self._rows_of(wanted))

    def rows(self) -> int | None:
        """Return the number of rows, which the file tells."""
        return self._rows

    def share_read(self) -> float | None:
        """Return the share of the rows that the latest `records` has given."""
        return self._told / self._rows if self._rows else 0.0

    def _rows_of(self, columns: list[str]) -> Iterator[Record | Unreadable]:
        self._told = 0
        with self._opened() as (raw, file):
            check_columns_unpack(file.metadata, columns, self.content.most_ratio)
            for group in range(file.num_row_groups):
                rows = rows_at_a_time(raw, file.metadata.row_group(group), columns)
                for batch in file.iter_batches(rows, row_groups=[group], columns=columns):
                    for values in zip(*(_values(batch.column(name)) for name in columns), strict=True):
                        self._told += 1
                        yield _record(self._told, columns, values)

    @contextmanager
    def _opened(self) -> Iterator[tuple[IO[bytes], parquet.ParquetFile]]:
        """The file's bytes, and the file as it is read."""
        try:
            with self.content.opened_seekable() as raw:
                yield (
                    raw,
                    parquet.ParquetFile(
                        raw, buffer_size=_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
                    ),
                )
        except (UnpacksTooFar, RowsTooLarge) as error:
            raise SourceError(f"{self.content.shown} can not be read: {error}") from error
        except (pyarrow.ArrowException, UnicodeDecodeError) as error:
            # The latter of names of columns, which pyarrow decodes when they are asked for.
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise SourceError(f"{self.content.shown} can not be read as parquet: {reason}") from error


def _values(column: pyarrow.Array) -> list[Any]:
    if pyarrow.types.is_decimal(column.type):
        return [one if one is None else as_number(one) for one in column.to_pylist()]
    try:
        return column.to_pylist()
    except (ValueError, OverflowError, pyarrow.ArrowException):
        return [_value(one) for one in column]


def _value(one: pyarrow.Scalar) -> Any:
    try:
        return one.as_py()
    except (ValueError, OverflowError, pyarrow.ArrowException):
        return _UNREADABLE


def _record(row: int, columns: list[str], values: tuple[Any, ...]) -> Record | Unreadable:
    # By identity: a value may have an equality of its own.
    for name, value in zip(columns, values, strict=True):
        if value is _UNREADABLE:
            return Unreadable(row, f"the value in column {name!r} is damaged, or none that can be read")
    return Record(row, dict(zip(columns, values, strict=True)))
