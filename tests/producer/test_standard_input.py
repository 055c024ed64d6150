import gzip
import io
import os
import random
import sys
import threading
from collections.abc import Callable

import pyarrow
import pyarrow.parquet as parquet
import pytest

from producer.errors import SourceError
from producer.sources import Record, Source, open_source

Pipe = Callable[..., Source]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Pipe bytes into this process, and open its standard input."""

    def open_piped(content: bytes, **how: str) -> Source:
        reading, writing = os.pipe()

        def write() -> None:
            with open(writing, "wb") as end:
                end.write(content)

        threading.Thread(target=write, daemon=True).start()
        monkeypatch.setattr(sys, "stdin", os.fdopen(reading))
        return open_source("-", **how)

    return open_piped


def as_parquet() -> bytes:
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": ["1", "2"], "text": ["good", "bad"]}), file)
    return file.getvalue()


CSV, TSV = b"id,text\n1,good\n2,bad\n", b"id\ttext\n1\tgood\n2\tbad\n"
JSONL = b'\n {"id": "1", "text": "good"}\n{"id": "2", "text": "bad"}\n'


@pytest.mark.parametrize("content", [CSV, TSV, JSONL, as_parquet(), gzip.compress(CSV), gzip.compress(as_parquet())])
def test_the_format_is_told_from_the_beginning(piped: Pipe, content: bytes):
    source = piped(content)
    assert source.name == "stdin"
    assert source.columns() == ["id", "text"]
    assert [record.values for record in source.records()] == [
        {"id": "1", "text": "good"},
        {"id": "2", "text": "bad"},
    ]


def test_how_texts_are_read_can_be_told(piped: Pipe):
    content = "id^text\n1^привет\n".encode("cp1251")
    (record,) = piped(content, encoding="cp1251", delimiter="^").records()
    assert record.values["text"] == "привет"


def test_a_long_stream_is_read_once_in_flat_memory(piped: Pipe):
    source = piped(b"id,text\n" + b"".join(b"%d,%s\n" % (n, b"quite good " * 20) for n in range(20_000)))
    assert source.columns() == ["id", "text"]
    assert source.rows() is None
    rows = 0
    for record in source.records():
        assert record.values["id"] == str(rows)
        assert source.share_read() is None
        rows += 1
    assert rows == 20_000
    with pytest.raises(SourceError, match="standard input can be read only once; save it to a file"):
        next(source.records())


def test_a_parquet_file_longer_than_what_is_kept_is_read_twice(piped: Pipe):
    file = io.BytesIO()
    noise = random.Random(5)
    table = pyarrow.table({"text": [noise.randbytes(500).hex() for _ in range(2_000)]})
    parquet.write_table(table, file, compression="none", use_dictionary=False)
    assert file.tell() > 1_500_000
    source = piped(file.getvalue())
    assert source.rows() == 2_000
    assert len(list(source.records())) == len(list(source.records())) == 2_000


def test_named_twice_it_is_still_one(piped: Pipe):
    first = piped(CSV)
    assert list(first.records()) == list(open_source("-").records())


def test_nothing_piped_is_refused(piped: Pipe):
    with pytest.raises(SourceError, match=r"^standard input is empty"):
        piped(b"")


def test_a_closed_one_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceError, match="standard input is closed"):
        open_source("-")


def test_what_is_piped_can_be_one_of_several(piped: Pipe, tmp_path):
    piped(CSV)
    (tmp_path / "a.csv").write_text("text\nfine\n")
    source = open_source(str(tmp_path / "a.csv"), "-")
    assert source.name == "a.csv, stdin"
    assert list(source.records())[1] == Record(2, {"id": "1", "text": "good"}, "standard input")
