from collections.abc import Callable
from pathlib import Path

import pytest

from producer.rows import BadRow, Columns, Row, read_rows
from producer.sources import Record, Source, Unreadable, open_source

Write = Callable[..., Source]
Check = Callable[..., list[Row | BadRow]]


@pytest.fixture
def source_of(tmp_path: Path) -> Write:
    """Write a real file and open it as a source."""

    def write(name: str, content: bytes | str, **how: str) -> Source:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return open_source(str(path), **how)

    return write


@pytest.fixture
def records_of(source_of: Write) -> Callable[[str, bytes | str], list[Record | Unreadable]]:
    """Write a real file and read all its records."""
    return lambda name, content: list(source_of(name, content).records())


@pytest.fixture
def rows_of(source_of: Write) -> Check:
    """Write a real file and read all its rows; the column `text` unless others are named."""

    def read(name: str, content: bytes | str, *, max_chars: int = 1000, **columns: str) -> list[Row | BadRow]:
        named = Columns(**{"text": "text", **columns})
        return list(read_rows(source_of(name, content), named, max_chars=max_chars))

    return read
