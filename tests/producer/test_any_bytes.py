"""Whatever bytes a file holds, reading it ends in rows or in one of this room's errors."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.errors import ProducerError
from producer.rows import BadRow, Columns, Row, read_rows
from producer.sources import Source, Unreadable, open_source

#: Pieces that steer the bytes towards the readers' own corners; pure noise rarely gets past the header.
CSV_PIECES = [
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x82",
    b"text",
    b" ",
]
JSON_PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"text"',
    b'"id"',
    b":",
    b"\n",
    b"\r",
    b"1",
    b"NaN",
    b'"\\ud800"',
    b"\xff",
]
JSON_LINES = [b'{"text": "a"}\n', b'{"text": 1}\n', b'{"id": 1.5}\n', b"\n"]


def mixed(pieces: list[bytes], start: list[bytes]) -> st.SearchStrategy[bytes]:
    body = st.lists(st.sampled_from(pieces) | st.binary(max_size=3), max_size=40).map(b"".join)
    return st.binary(max_size=200) | st.tuples(st.sampled_from(start), body).map(b"".join)


CASES = st.tuples(
    st.just("a.csv"), mixed(CSV_PIECES, [b"", b"text\n", b"id,text\n", b"\xef\xbb\xbfid,text\r\n"])
) | st.tuples(st.just("a.jsonl"), mixed(JSON_PIECES + JSON_LINES, [b"", b'{"text": "x", "id": 1}\n']))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("any")


@settings(max_examples=400, deadline=None)
@given(case=CASES)
def test_every_record_becomes_one_row_or_bad_row(folder: Path, case: tuple[str, bytes]):
    name, content = case
    (folder / name).write_bytes(content)
    source = opened_or_refused(folder / name)
    if source is None:
        return
    records = list(source.records())
    rows = list(read_rows(source, Columns("text", id="id"), max_chars=50))
    assert [row.row for row in rows] == [record.row for record in records]
    for record, row in zip(records, rows, strict=True):
        assert isinstance(row, BadRow) if isinstance(record, Unreadable) else isinstance(row, Row | BadRow)
        assert_storable(row)


def opened_or_refused(path: Path) -> Source | None:
    refusal = ""
    try:
        source = open_source(str(path))
        source.columns()
    except ProducerError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1
    return None if refusal else source


def assert_storable(row: Row | BadRow) -> None:
    told = row.reason if isinstance(row, BadRow) else row.text
    assert "\0" not in told
    told.encode()


@settings(max_examples=100, deadline=None)
@given(lines=st.lists(st.binary(min_size=1).filter(lambda b: not set(b) & set(b'"\r\n\0,')), min_size=1))
def test_no_line_of_a_quoteless_csv_is_lost(folder: Path, lines: list[bytes]):
    path = folder / "lines.csv"
    path.write_bytes(b"text\n" + b"\n".join(lines))
    rows = list(read_rows(open_source(str(path)), Columns("text"), max_chars=1000))
    assert [row.row for row in rows] == list(range(2, len(lines) + 2))
