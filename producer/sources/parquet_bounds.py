"""What reading a parquet file may take: a small one can stand for far more than fits into memory.

Pages are compressed, and a text that stands once in a dictionary is made anew for each of its rows.
"""

from collections.abc import Collection
from typing import IO

import pyarrow.parquet as parquet

from producer.sources.bounds import check_unpacked

#: Rows held at a time, where they may not come to more bytes than this.
BATCH_ROWS = 1_000
_BATCH_BYTES = 64 * 2**20
#: What a single row may come to. Rows of reviews are thousands of times smaller.
MAX_ROW_BYTES = 2 * 2**30
#: Of a value that is not in a dictionary the pages themselves hold the bytes.
_PLAIN_BYTES = 16
#: A page's header starts with three fields of Thrift's compact protocol: what it is, its size unpacked, and packed.
_HEADER_BYTES = 32
_INT_FIELD, _DICTIONARY = 0x15, 2


class RowsTooLarge(Exception):
    """A single row may take more memory than MAX_ROW_BYTES."""


def check_columns_unpack(metadata: parquet.FileMetaData, columns: Collection[str], ratio: int) -> None:
    """Raise UnpacksTooFar where the pages of the columns are too small for what they say they hold."""
    packed = unpacked = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in _chunks(group, columns):
            packed += chunk.total_compressed_size
            unpacked += chunk.total_uncompressed_size
    check_unpacked(unpacked, packed, ratio)


def rows_at_a_time(raw: IO[bytes], group: parquet.RowGroupMetaData, columns: Collection[str]) -> int:
    """How many rows of a row group may be held together, if all of them had its longest values. Raises RowsTooLarge."""
    row_bytes = sum(_row_bytes(raw, chunk, group.num_rows) for chunk in _chunks(group, columns))
    if row_bytes > MAX_ROW_BYTES:
        raise RowsTooLarge(f"its rows may take {row_bytes / 2**30:,.1f} GiB each; at most 2 are read")
    return min(BATCH_ROWS, max(1, int(_BATCH_BYTES // max(1, row_bytes))))


def _chunks(group: parquet.RowGroupMetaData, columns: Collection[str]) -> list[parquet.ColumnChunkMetaData]:
    found = map(group.column, range(group.num_columns))
    return [chunk for chunk in found if _is_of(chunk.path_in_schema, columns)]


def _is_of(path: str, columns: Collection[str]) -> bool:
    """A nested column has several paths; a dot may stand in a name, too."""
    return path in columns or any(path.startswith(f"{name}.") for name in columns)


def _row_bytes(raw: IO[bytes], chunk: parquet.ColumnChunkMetaData, rows: int) -> float:
    is_text = chunk.physical_type == "BYTE_ARRAY"
    value_bytes = max(_PLAIN_BYTES, _dictionary_bytes(raw, chunk)) if is_text else _PLAIN_BYTES
    return value_bytes * chunk.num_values / max(1, rows)


def _dictionary_bytes(raw: IO[bytes], chunk: parquet.ColumnChunkMetaData) -> int:
    """The size of the chunk's dictionary, which is no smaller than its longest value; 0 where it has none."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        start = min(start, chunk.dictionary_page_offset)
    raw.seek(start)
    kind, unpacked = _first_fields(raw.read(_HEADER_BYTES))
    return unpacked if kind == _DICTIONARY else 0


def _first_fields(header: bytes) -> tuple[int, int]:
    """The first two fields of a page's header, numbers both; zeros where it is damaged, which reading it will tell."""
    at, found = 0, []
    for _ in range(2):
        if at >= len(header) or header[at] != _INT_FIELD:
            return 0, 0
        at, value, shift = at + 1, 0, 0
        while at < len(header):
            byte = header[at]
            value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                break
        found.append((value >> 1) ^ -(value & 1))
    return found[0], found[1]
