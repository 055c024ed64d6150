import gzip
import tracemalloc
from pathlib import Path

import pytest

from producer.errors import ColumnError, SourceError
from producer.rows import BadRow, Columns, check_columns, read_rows
from producer.sources import Record, Unreadable, open_source


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as exports fill it, beneath the current one."""
    monkeypatch.chdir(tmp_path)
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (incoming / "b.csv").write_text("id,text\n3,fine\n4\n")
    (incoming / "a.csv.gz").write_bytes(gzip.compress(b"id,text\n1,good\n"))
    (incoming / "c.jsonl").write_text('{"id": 5, "text": "so so"}\n{"id": 6}\n')
    return incoming


RECORDS = [
    Record(2, {"id": "1", "text": "good"}, "incoming/a.csv.gz"),
    Record(2, {"id": "3", "text": "fine"}, "incoming/b.csv"),
    Unreadable(3, "1 field where the header has 2", "incoming/b.csv"),
    Record(1, {"id": 5, "text": "so so"}, "incoming/c.jsonl"),
    Record(2, {"id": 6}, "incoming/c.jsonl"),
]


@pytest.mark.parametrize(
    ("specs", "name"),
    [
        (["incoming"], "incoming/"),
        (["./incoming/"], "incoming/"),
        (["incoming/*"], "incoming/*"),
        (["incoming/[abc].*"], "incoming/[abc].*"),
        (["**/*.*"], "**/*.*"),
        (["incoming/a.csv.gz", "incoming/b.csv", "incoming/c.jsonl"], "a.csv.gz, b.csv, c.jsonl"),
        (["incoming/a*", "incoming/b.csv", "incoming/c.jsonl"], "incoming/a*, b.csv, c.jsonl"),
    ],
)
def test_several_files_are_read_in_turn(folder: Path, specs: list[str], name: str):
    source = open_source(*specs)
    assert source.name == name
    assert source.columns() == ["id", "text"]
    assert list(source.records()) == list(source.records()) == RECORDS


def test_a_directory_is_its_finished_files_of_known_formats(folder: Path):
    for name in (".d.csv.partial", ".e.csv", "_SUCCESS", "_tmp.csv", "notes.txt", "photo.png"):
        (folder / name).write_bytes(b"\x89")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "d.csv").write_text("id,text\n9,deep\n")
    assert list(open_source("incoming").records()) == RECORDS


def test_a_name_of_many_tells_how_many(folder: Path):
    names = [f"{number}.csv" for number in range(5)]
    for name in names:
        Path(name).write_text("text\ngood\n")
    assert open_source(*names).name == "0.csv, 1.csv, 2.csv and 2 more"


def test_a_bad_row_tells_its_file_and_line(folder: Path):
    rows = read_rows(open_source("incoming"), Columns("text", id="id"), max_chars=100)
    assert [(row.row, row.external_id, row.reason) for row in rows if isinstance(row, BadRow)] == [
        (3, None, "in incoming/b.csv: 1 field where the header has 2"),
        (2, "6", "in incoming/c.jsonl: no text"),
    ]


def test_a_file_without_the_columns_is_named(folder: Path):
    (folder / "bb.csv").write_text("id,body\n7,good\n")
    source = open_source("incoming")
    assert source.columns() == ["id"]
    with pytest.raises(ColumnError, match=r"no column 'text' in incoming/bb\.csv; the columns are 'id', 'body'"):
        check_columns(source, Columns("text"))
    check_columns(source, Columns("id"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("d.csv", b"", "'incoming/d.csv' is empty"),
        ("d.csv", b"\n\n", "'incoming/d.csv' has only blank lines"),
        ("d.parquet", b"text\n", "'incoming/d.parquet' can not be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(folder: Path, name: str, content: bytes, said: str):
    (folder / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        open_source("incoming")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("empty", "the directory 'empty' has no .csv, .tsv, .jsonl, .ndjson, .parquet file, compressed or not"),
        ("incoming/*.tsv", "no file matches 'incoming/*.tsv'"),
        ("nowhere/*", "no file matches 'nowhere/*'"),
        ("nowhere", "has no extension"),
    ],
)
def test_where_there_is_no_file_it_is_said(folder: Path, spec: str, said: str):
    Path("empty").mkdir()
    with pytest.raises(SourceError) as caught:
        open_source(spec)
    assert said in str(caught.value)


def test_a_name_with_wildcards_of_its_own_is_itself(folder: Path):
    Path("a[1].csv").write_text("text\ngood\n")
    assert list(open_source("a[1].csv").records()) == [Record(2, {"text": "good"})]


def test_rows_and_shares_are_those_of_all(folder: Path):
    assert open_source("incoming").rows() is None
    (folder / "big.csv").write_text("id,text\n" + "1,good\n" * 1_000)
    source = open_source("incoming")
    shares = [source.share_read() for _ in source.records()]
    assert shares == sorted(shares)
    small = sum(file.stat().st_size for file in folder.iterdir()) - (folder / "big.csv").stat().st_size
    assert shares[2] == pytest.approx(small / (small + 7_008), abs=0.03), "by size, and not a quarter each"
    assert source.share_read() == 1.0


def test_rows_are_known_where_all_parts_know_theirs(tmp_path: Path):
    import pyarrow
    import pyarrow.parquet as parquet

    for number in (3, 4):
        parquet.write_table(pyarrow.table({"text": ["good"] * number}), tmp_path / f"{number}.parquet")
    source = open_source(str(tmp_path))
    assert source.rows() == 7
    assert len(list(source.records(["text"]))) == 7


def test_a_demo_set_can_be_one_of_several(folder: Path):
    source = open_source("incoming/b.csv", "demo:rotten_tomatoes:test")
    assert source.name == "b.csv, demo:rotten_tomatoes:test"
    first, _, *others = source.records()
    assert first.part == "incoming/b.csv"
    assert {record.part for record in others} == {"demo:rotten_tomatoes:test"}
    assert source.share_read() == 1.0


def test_the_same_notice_of_many_files_is_said_once(folder: Path):
    for name in ("x.csv", "y.csv", "z.csv"):
        (folder / name).write_text("id;text\n1;good\n")
    assert open_source("incoming").notices == [
        "'incoming/x.csv' (and 2 more) is read with ';' between fields; --delimiter overrules it"
    ]


def test_many_files_are_not_held_in_memory(tmp_path: Path):
    for number in range(40):
        (tmp_path / f"{number}.csv").write_text("text\n" + "quite good\n" * 50_000)
    tracemalloc.start()
    try:
        source = open_source(str(tmp_path))
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert source.columns() == ["text"]
    assert kept < 2_000_000
    assert peak < 6_000_000
