"""parquet: every column with its type, written a group of rows at a time."""

import json
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import IO, TYPE_CHECKING, Any

from cli.formats.columns import Column, Kind, in_batches
from cli.formats.values import isos, json_sources

if TYPE_CHECKING:
    import pyarrow as pa

#: A group of rows is held in memory until it is written: this much at most, and at most so many rows.
_GROUP_BYTES = 64 * 2**20
_GROUP_ROWS = 100_000


def write(columns: Sequence[Column], rows: Iterator[Sequence[Any]], file: IO[bytes]) -> int:
    """Write the rows; returns how many."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(column.name, _type(column)) for column in columns])
    of_few = [column.name for column in columns if column.kind is Kind.NAME]
    count = 0
    with parquet.ParquetWriter(
        _OneWay(file), schema, compression="zstd", compression_level=1, use_dictionary=of_few
    ) as writer:
        for group in _groups(columns, schema, rows):
            writer.write_table(group)
            count += group.num_rows
    return count


def _groups(columns: Sequence[Column], schema: "pa.Schema", rows: Iterator[Sequence[Any]]) -> "Iterator[pa.Table]":
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    count = size = 0
    for batch in in_batches(rows):
        values = zip(*batch, strict=True)
        arrays = [_array(column, of_one) for column, of_one in zip(columns, values, strict=True)]
        held.append(pa.record_batch(arrays, schema=schema))
        count, size = count + len(batch), size + held[-1].nbytes
        if count >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, count, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held)


def _type(column: Column) -> "pa.DataType":
    import pyarrow as pa

    if column.kind is Kind.PROBABILITIES:
        if column.labels is None:
            return pa.map_(pa.string(), pa.float64())
        return pa.struct([(label, pa.float64()) for label in column.labels])
    types = {
        Kind.INTEGER: pa.int64(),
        Kind.NUMBER: pa.float64(),
        Kind.FLAG: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
    }
    return types.get(column.kind, pa.string())


def _array(column: Column, values: Sequence[Any]) -> "pa.Array":
    import pyarrow as pa

    if column.kind is Kind.PROBABILITIES:
        objects = _objects(values)
        return _map(objects) if column.labels is None else _struct(objects, column.labels)
    if column.kind is Kind.TIME:
        return pa.array(isos(values), pa.string()).cast(_type(column))
    if column.kind is Kind.JSON:
        values = json_sources(values)
    return pa.array(values, _type(column))


def _objects(values: Sequence[Any]) -> list[dict[str, float] | None]:
    """Every object of numbers; read in one go, as reading each on its own would take twice the time."""
    texts = ["null" if document is None else document for document in json_sources(values)]
    return list(json.loads(f"[{','.join(texts)}]"))


def _struct(objects: list[dict[str, float] | None], labels: Sequence[str]) -> "pa.Array":
    import pyarrow as pa

    numbers = [pa.array([None if one is None else one.get(label) for one in objects], pa.float64()) for label in labels]
    return pa.StructArray.from_arrays(numbers, names=list(labels), mask=pa.array([one is None for one in objects]))


def _map(objects: list[dict[str, float] | None]) -> "pa.Array":
    import pyarrow as pa

    lengths = accumulate((len(one or ()) for one in objects), initial=0)
    # An offset that is null makes its row null.
    offsets = [None if at < len(objects) and objects[at] is None else start for at, start in enumerate(lengths)]
    names = list(chain.from_iterable(one for one in objects if one))
    numbers = list(chain.from_iterable(one.values() for one in objects if one))
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.array(names, pa.string()), pa.array(numbers, pa.float64())
    )


class _OneWay:
    """A file that is only written to, and knows how far it is: a pipe does not."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Write all of it."""
        self._file.write(data)
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes were written."""
        return self._at

    def flush(self) -> None:
        """Hand on what is held back."""
        self._file.flush()

    def close(self) -> None:
        """Leave the file to whoever opened it."""
        self.closed = True
