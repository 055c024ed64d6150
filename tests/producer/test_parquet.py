import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from producer.errors import SourceError
from producer.rows import BadRow, Columns, Row, read_rows
from producer.sources import Record, Source, Unreadable, open_source

Make = Callable[..., Source]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a real parquet file and open it as a source."""

    def write(table: pyarrow.Table, **options: object) -> Source:
        parquet.write_table(table, tmp_path / "a.parquet", **options)
        return open_source(str(tmp_path / "a.parquet"))

    return write


def test_a_file_gives_its_columns_and_rows(make: Make):
    source = make(pyarrow.table({"id": [7, 8], "text": ["good", None]}))
    assert source.name == "a.parquet"
    assert source.columns() == ["id", "text"]
    assert source.rows() == 2
    assert list(source.records()) == [Record(1, {"id": 7, "text": "good"}), Record(2, {"id": 8, "text": None})]


@pytest.mark.parametrize("codec", ["snappy", "gzip", "zstd", "lz4", "none"])
def test_many_types_come_as_python_has_them(make: Make, codec: str):
    moment = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
    columns = {
        "large": pyarrow.array(["good"], pyarrow.large_string()),
        "dictionary": pyarrow.array(["very good"]).dictionary_encode(),
        "list": pyarrow.array([["a", "b"]]),
        "struct": pyarrow.array([{"x": 1, "y": None}]),
        "time": pyarrow.array([moment], pyarrow.timestamp("us", "UTC")),
        "number": pyarrow.array([0.5]),
        "decimal": pyarrow.array([Decimal("2.50")]),
        "flag": pyarrow.array([True]),
    }
    (record,) = make(pyarrow.table(columns), compression=codec).records()
    assert record.values == {
        "large": "good",
        "dictionary": "very good",
        "list": ["a", "b"],
        "struct": {"x": 1, "y": None},
        "time": moment,
        "number": 0.5,
        "decimal": 2.5,
        "flag": True,
    }


def test_rows_are_counted_across_row_groups(make: Make):
    source = make(pyarrow.table({"n": range(3_500)}), row_group_size=400)
    records = list(source.records())
    assert [record.row for record in records] == list(range(1, 3_501))
    assert [record.values["n"] for record in records] == list(range(3_500))


def test_the_share_read_is_that_of_the_rows(make: Make):
    source = make(pyarrow.table({"n": range(4)}))
    assert source.share_read() == 0.0
    assert [source.share_read() for _ in source.records()] == [0.25, 0.5, 0.75, 1.0]


def test_only_the_columns_that_are_asked_for_are_read(make: Make):
    source = make(pyarrow.table({"a.b": ["x"], "id": [1], "a": ["y"]}))
    assert list(source.records(["a", "id"])) == [Record(1, {"id": 1, "a": "y"})]
    assert list(source.records(["a.b"])) == [Record(1, {"a.b": "x"})]


def test_text_that_is_not_utf_8_is_one_bad_row(make: Make):
    bad = pyarrow.array([b"good", b"caf\xe9", b"fine"]).view(pyarrow.string())
    source = make(pyarrow.table({"text": bad}))
    assert list(source.records()) == [
        Record(1, {"text": "good"}),
        Unreadable(2, "the value in column 'text' is damaged, or none that can be read"),
        Record(3, {"text": "fine"}),
    ]


def test_a_time_that_python_has_not_spoils_only_who_asks_for_it(make: Make):
    far = pyarrow.array([2**60], pyarrow.timestamp("ms"))
    source = make(pyarrow.table({"text": ["good"], "at": far}))
    assert list(source.records(["text"])) == [Record(1, {"text": "good"})]
    assert isinstance(next(source.records()), Unreadable)


def test_its_rows_are_checked_as_those_of_any_source(make: Make):
    source = make(pyarrow.table({"text": ["good", "", "  ", "a\0b"], "id": [1, 2, 3, None]}))
    rows = list(read_rows(source, Columns("text", id="id"), max_chars=100))
    assert isinstance(rows[0], Row)
    assert [(row.row, row.reason) for row in rows[1:] if isinstance(row, BadRow)] == [
        (2, "no text"),
        (3, "the text is only white space"),
        (4, "no id"),
    ]


def test_a_file_compressed_as_a_whole_is_read_too(tmp_path: Path):
    plain = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["good"] * 9}), plain)
    with pyarrow.CompressedOutputStream(str(tmp_path / "b.parquet.zst"), "zstd") as stream:
        stream.write(plain.read_bytes())
    source = open_source(str(tmp_path / "b.parquet.zst"))
    assert source.rows() == 9
    assert list(source.records()) == list(open_source(str(plain)).records())


@pytest.mark.parametrize("content", [b"text\ngood\n", b"PAR1", b"PAR1" + b"x" * 99 + b"PAR1", b"\xff" * 200])
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.parquet' can not be read") as caught:
        open_source(str(tmp_path / "a.parquet"))
    assert "\n" not in str(caught.value)


def test_a_damaged_page_is_told_in_one_line(tmp_path: Path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"n": range(50_000)}), path, use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[2_000:2_600] = b"\xaa" * 600
    path.write_bytes(content)
    with pytest.raises(SourceError, match="can not be read") as caught:
        list(open_source(str(path)).records())
    assert "\n" not in str(caught.value)


def test_a_column_named_twice_is_refused(make: Make):
    table = pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["n", "n"])
    with pytest.raises(SourceError, match="names 'n' more than once"):
        make(table)


def test_memory_stays_flat(tmp_path: Path):
    """Of one row group that is 60 MB when all of it is read."""
    path = tmp_path / "big.parquet"
    texts = pyarrow.array([f"{n} " + "quite good " * 54 for n in range(100_000)])
    parquet.write_table(pyarrow.table({"text": texts}), path, use_dictionary=False, row_group_size=100_000)
    assert parquet.ParquetFile(path).metadata.row_group(0).total_byte_size > 50_000_000
    del texts
    before, peak_of_arrow = pyarrow.total_allocated_bytes(), 0
    tracemalloc.start()
    try:
        for record in open_source(str(path)).records():
            if record.row % 1_000 == 0:
                peak_of_arrow = max(peak_of_arrow, pyarrow.total_allocated_bytes() - before)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000
    assert peak_of_arrow < 12_000_000
