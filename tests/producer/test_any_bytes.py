"""Whatever bytes a file holds, reading it ends in rows or in one of this room's errors."""

import gzip
import io
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from producer.errors import ProducerError, SourceError
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


CSV = mixed(CSV_PIECES, [b"", b"text\n", b"id,text\n", b"\xef\xbb\xbfid,text\r\n", b"id;text\n", b"'id'\t'text'\n"])
JSONL = mixed(JSON_PIECES + JSON_LINES, [b"", b'{"text": "x", "id": 1}\n'])
WIDE = st.sampled_from(["id,text\r\n1,a\n", '{"text": "a", "id": 1}\n']).map(lambda text: text.encode("utf-16"))
ANY_TEXT = CSV | JSONL | st.tuples(WIDE, st.binary(max_size=60)).map(b"".join)


def damaged(whole: bytes) -> st.SearchStrategy[bytes]:
    """The bytes, some of them changed, and perhaps cut off."""
    changes = st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), max_size=3)
    return st.tuples(changes, st.integers(0, len(whole))).map(lambda drawn: _with(whole, *drawn))


def _with(whole: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    content = bytearray(whole)
    for at, byte in changes:
        content[at] = byte
    return bytes(content[: len(content) - cut // 8])


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": [1, 2], "text": ["good", None]}), file, compression="none")
    return file.getvalue()


CASES = (
    st.tuples(st.sampled_from(["a.csv", "a.tsv"]), ANY_TEXT)
    | st.tuples(st.just("a.jsonl"), ANY_TEXT)
    | st.tuples(st.just("a.csv.gz"), ANY_TEXT.map(gzip.compress).flatmap(damaged))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("any")


@settings(max_examples=400, deadline=None)
@given(case=CASES)
def test_every_record_becomes_one_row_or_bad_row(folder: Path, case: tuple[str, bytes]):
    name, content = case
    (folder / name).write_bytes(content)
    check(opened_or_refused(folder / name))


@settings(max_examples=200, deadline=None)
@given(content=damaged(parquet_bytes()))
@example(content=_with(parquet_bytes(), [(234, 128)], 0))  # the name of a column is not UTF-8
def test_every_row_of_a_damaged_parquet_is_told_or_refused(folder: Path, content: bytes):
    (folder / "a.parquet").write_bytes(content)
    check(opened_or_refused(folder / "a.parquet"))


@settings(max_examples=100, deadline=None)
@given(content=ANY_TEXT, encoding=st.sampled_from(["cp1252", "utf-16", "utf-7", "shift_jis", "gb18030", "hz", "utf-8"]))
def test_every_record_in_an_encoding_that_was_told(folder: Path, content: bytes, encoding: str):
    (folder / "a.csv").write_bytes(content)
    check(opened_or_refused(folder / "a.csv", encoding=encoding))


@settings(max_examples=50, deadline=None)
@given(parts=st.lists(st.lists(st.sampled_from([b"1,good", b"2", b"", b"3,a,b", b"4,\xff"])), min_size=1, max_size=4))
def test_of_several_files_every_line_is_counted(tmp_path_factory: pytest.TempPathFactory, parts: list[list[bytes]]):
    folder = tmp_path_factory.mktemp("several")
    for number, lines in enumerate(parts):
        (folder / f"{number}.csv").write_bytes(b"id,text\n" + b"".join(line + b"\n" for line in lines))
    source = open_source(str(folder), encoding="utf-8")
    rows = list(read_rows(source, Columns("text", id="id"), max_chars=50))
    assert len(rows) == sum(bool(line) for lines in parts for line in lines)
    assert sum(isinstance(row, Row) for row in rows) == sum(lines.count(b"1,good") for lines in parts)


def check(source: Source | None) -> None:
    """Every record of the source becomes one row or bad row, that can be stored."""
    if source is None:
        return
    refusal = ""
    try:
        records = list(source.records())
    except SourceError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1
    if refusal:
        return
    rows = list(read_rows(source, Columns("text", id="id"), max_chars=50))
    assert [row.row for row in rows] == [record.row for record in records]
    for record, row in zip(records, rows, strict=True):
        assert isinstance(row, BadRow) if isinstance(record, Unreadable) else isinstance(row, Row | BadRow)
        assert_storable(row)


def opened_or_refused(path: Path, **how: str) -> Source | None:
    refusal = ""
    try:
        source = open_source(str(path), **how)
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
