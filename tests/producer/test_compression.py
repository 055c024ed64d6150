import bz2
import gzip
import lzma
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pytest

from producer.errors import SourceError
from producer.sources import Record, open_source

CSV = b"id,text\n" + b"".join(b"%d,review %d, no. %x\n".replace(b", no", b" no") % (n, n, n * n) for n in range(5_000))


def by_pyarrow(codec: str) -> Callable[[bytes], bytes]:
    def compress(content: bytes) -> bytes:
        target = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(target, codec) as stream:
            stream.write(content)
        return target.getvalue().to_pybytes()

    return compress


COMPRESSED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": by_pyarrow("zstd"),
    "lz4": by_pyarrow("lz4"),
}


@pytest.fixture(params=COMPRESSED)
def ending(request) -> str:
    return request.param


def test_a_compressed_file_reads_like_the_file(source_of, ending: str):
    source = source_of(f"a.csv.{ending}", COMPRESSED[ending](CSV))
    assert source.name == f"a.csv.{ending}"
    assert source.columns() == ["id", "text"]
    assert list(source.records()) == list(source_of("plain.csv", CSV).records())
    assert source.notices == []


def test_its_jsonl_reads_too(records_of, ending: str):
    assert records_of(f"a.JSONL.{ending.upper()}", COMPRESSED[ending](b'{"a": 1}\n')) == [Record(1, {"a": 1})]


def test_archives_one_after_the_other_are_one(records_of, ending: str):
    compress = COMPRESSED[ending]
    assert len(records_of(f"a.csv.{ending}", compress(CSV) + compress(b"x,y\n"))) == 5_001


def test_the_content_counts_whatever_the_name(source_of, ending: str):
    """What is sent compressed, or unpacked on its way, keeps its name."""
    assert source_of("a.csv", COMPRESSED[ending](CSV)).columns() == ["id", "text"]
    assert source_of(f"b.csv.{ending}", CSV).columns() == ["id", "text"]


def test_the_share_read_is_that_of_the_compressed_bytes(source_of, ending: str):
    source = source_of(f"a.csv.{ending}", COMPRESSED[ending](CSV * 5))
    shares = [source.share_read() for _ in source.records()]
    assert shares == sorted(shares)
    assert source.share_read() == 1.0


def test_an_archive_that_is_cut_off_says_after_how_many_rows(source_of, ending: str):
    """Beyond what is looked at first; what breaks in that is told when the source is opened."""
    noise = random.Random(3)
    content = b"text\n" + b"".join(noise.randbytes(512).hex().encode() + b"\n" for _ in range(3_000))
    source = source_of(f"a.csv.{ending}", COMPRESSED[ending](content)[:-600])
    records = []
    with pytest.raises(SourceError) as caught:
        records.extend(source.records())
    rows = len(records)
    assert 1_000 < rows < 3_000
    assert str(caught.value).startswith(f"{source.content.shown} can not be read: it is cut off or damaged")
    assert str(caught.value).endswith(f", after {rows:,} rows")
    with pytest.raises(SourceError, match="cut off or damaged"):
        source_of(f"b.csv.{ending}", COMPRESSED[ending](CSV)[:-20])


def test_a_damaged_archive_is_told(source_of, ending: str):
    whole = COMPRESSED[ending](CSV)
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes(byte ^ 0xFF for byte in whole[middle : middle + 64]) + whole[middle + 64 :]
    if ending in ("zst", "lz4"):
        damaged = whole + b"junk" * 9  # without checksums they notice no changed letter
    with pytest.raises(SourceError, match="can not be read: it is cut off or damaged") as caught:
        list(source_of(f"a.csv.{ending}", damaged).records())
    assert "\n" not in str(caught.value)


def test_nothing_in_an_archive_is_empty(source_of, ending: str):
    with pytest.raises(SourceError, match="is empty"):
        source_of(f"a.csv.{ending}", COMPRESSED[ending](b""))


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_memory_stays_flat(tmp_path: Path, ending: str):
    path = tmp_path / f"big.csv.{ending}"
    path.write_bytes(COMPRESSED[ending](b"id,text\n" + b"1,%s\n" % (b"quite good " * 40) * 30_000))
    source = open_source(str(path))
    pyarrow_before = pyarrow.total_allocated_bytes()
    tracemalloc.start()
    try:
        assert sum(1 for _ in source.records()) == 30_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000
    assert pyarrow.total_allocated_bytes() - pyarrow_before < 2_000_000
