"""Files that would take all memory are refused in one line, and memory stays flat meanwhile; real bombs, real peaks."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from db.checkpoint import read_config
from db.errors import CheckpointError
from producer.errors import SourceError
from producer.label_studio import LabelStudioExport
from producer.sources import bounds, open_source, parquet_bounds

#: Reads a source to its end and prints what was said, how many records came, and the most memory held at once, in kB.
READ = """
import sys
from producer.errors import SourceError
from producer.sources import open_source

said, records = "", 0
try:
    for _ in open_source(sys.argv[1]).records():
        records += 1
except SourceError as error:
    said = str(error)
# Not getrusage, which counts the process before this one too.
print(said, records, next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), sep="\\n")
"""
#: What is read ahead, held and thrown away on the way: far less than any bomb becomes.
ROOM_BYTES = 150 * 2**20
ROW = b"%s\n" % (b"quite good " * 8_000)
PIECE = ROW * 200


def by_pyarrow(codec: str) -> Callable[[bytes], bytes]:
    def compress(content: bytes) -> bytes:
        target = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(target, codec) as stream:
            stream.write(content)
        return target.getvalue().to_pybytes()

    return compress


COMPRESS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": by_pyarrow("zstd")}


def read(path: Path, **environment: str) -> tuple[str, int, int]:
    """What was said, the records that came before, and the peak in bytes, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    said, records, peak = done.stdout.splitlines()
    return said, int(records), int(peak) * 1024


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_small_archive_of_two_gigabytes_is_refused_and_memory_stays_flat(tmp_path: Path, ending: str) -> None:
    small, bomb = tmp_path / f"small.csv.{ending}", tmp_path / f"bomb.csv.{ending}"
    small.write_bytes(COMPRESS[ending](b"text\n" + ROW))
    # Archives one after the other are one.
    bomb.write_bytes(COMPRESS[ending](b"text\n") + COMPRESS[ending](PIECE) * 125)
    assert 125 * len(PIECE) > 2**31
    usual = read(small)[2]
    said, records, peak = read(bomb)
    assert said.startswith(f"{str(bomb)!r} can not be read: it unpacks to more than 200 times its size")
    assert said.endswith(f"REVIEWMILL_MAX_UNPACKED_RATIO allows more, after {records:,} rows")
    assert abs(records * len(ROW) - bounds.FREE_UNPACKED_BYTES) < 2**20
    assert peak - usual < ROOM_BYTES


@pytest.mark.parametrize("character", ["0", " ", "\0"])
@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.jsonl.gz"])
def test_a_single_line_that_never_ends_is_refused_too(tmp_path: Path, name: str, character: str) -> None:
    small, bomb = tmp_path / f"small.{name}", tmp_path / name
    small.write_bytes(gzip.compress(b"text\ngood\n"))
    bomb.write_bytes(gzip.compress(character.encode() * 2**24) * 128)
    said, records, peak = read(bomb)
    assert "can not be read: it unpacks to more than 200" in said or "looks like a binary file" in said
    assert records == 0
    assert peak - read(small)[2] < ROOM_BYTES


def test_the_ratio_is_a_setting_and_repeated_reviews_pass(tmp_path: Path) -> None:
    path = tmp_path / "repeated.csv.gz"
    path.write_bytes(gzip.compress(b"text\n") + gzip.compress(PIECE) * 5)
    unpacked = 5 * len(PIECE)
    ratio = unpacked / path.stat().st_size
    assert unpacked > bounds.FREE_UNPACKED_BYTES
    assert ratio > 200
    assert read(path, REVIEWMILL_MAX_UNPACKED_RATIO="2000")[:2] == ("", 1_000)
    assert "more than 100 times" in read(path, REVIEWMILL_MAX_UNPACKED_RATIO="100")[0]
    # Little that repeats often passes whatever its ratio.
    path.write_bytes(gzip.compress(b"text\n" + PIECE * 2))
    assert read(path)[:2] == ("", 400)


def test_no_job_is_made_of_a_bomb(tmp_path: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"text\n") + gzip.compress(PIECE) * 125)
    model = Path(__file__).parent.parent / "checkpoints" / "bert"
    result = run("score", "bomb.csv.gz", "--text", "text", "--model", model, "--no-wait")
    assert (result.returncode, result.stdout) == (2, "")
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert "unpacks to more than 200 times its size" in error
    assert "Traceback" not in result.stderr
    assert json.loads(run("jobs", "list", "--json").stdout) == []


def test_a_parquet_file_of_pages_that_unpack_too_far_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    table = pyarrow.table({"text": ["a" * 2**27], "id": [1]})
    parquet.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)
    assert path.stat().st_size < 2**16
    said, records, peak = read(path)
    assert said.startswith(f"{str(path)!r} can not be read: it unpacks to more than 200 times its size")
    assert records == 0
    # Columns that are not asked for are not looked at.
    assert [record.values for record in open_source(str(path)).records(["id"])] == [{"id": 1}]
    small = tmp_path / "small.parquet"
    parquet.write_table(pyarrow.table({"text": ["a"]}), small)
    assert peak - read(small)[2] < ROOM_BYTES


def test_a_long_text_in_a_dictionary_is_not_made_a_thousand_times_at_once(tmp_path: Path) -> None:
    path, small = tmp_path / "dictionary.parquet", tmp_path / "small.parquet"
    parquet.write_table(pyarrow.table({"text": ["a"]}), small)
    long = pyarrow.DictionaryArray.from_arrays([0] * 1_000, ["b" * 2**23])
    parquet.write_table(pyarrow.table({"text": long}), path, dictionary_pagesize_limit=2**26, compression="snappy")
    said, records, peak = read(path)
    assert (said, records) == ("", 1_000)
    # A thousand at once are 8 GB.
    assert peak - read(small)[2] < 6 * parquet_bounds._BATCH_BYTES


def test_rows_of_endless_lists_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lists.parquet"
    parquet.write_table(pyarrow.table({"tags": [[7] * 200_000], "a.b": ["x"]}), path)
    assert len(list(open_source(str(path)).records())) == 1
    monkeypatch.setattr(parquet_bounds, "MAX_ROW_BYTES", 2**20)
    with pytest.raises(SourceError, match=r"can not be read: its rows may take 0.0 GiB each; at most 2 are read"):
        list(open_source(str(path)).records())
    assert [record.values for record in open_source(str(path)).records(["a.b"])] == [{"a.b": "x"}]


def test_columns_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wide.csv").write_text(",".join(f"c{n}" for n in range(10_001)) + "\n")
    with pytest.raises(SourceError, match="names 10,001 columns; at most 10,000 are read"):
        open_source(str(tmp_path / "wide.csv"))
    parquet.write_table(pyarrow.table({f"c{n}": [n] for n in range(10_001)}), tmp_path / "wide.parquet")
    with pytest.raises(SourceError, match="has 10,001 columns; at most 10,000 are read"):
        open_source(str(tmp_path / "wide.parquet"))


@pytest.mark.parametrize("levels", [65, 400, 100_000])
def test_an_export_of_label_studio_that_is_nested_too_deeply_is_refused(tmp_path: Path, levels: int) -> None:
    path = tmp_path / "export.json"
    path.write_text('[{"data": {"x": ' + "[" * levels + "]" * levels + "}}]")
    with pytest.raises(SourceError, match=r"nested more than 64 lists and objects deep$"):
        LabelStudioExport(path)


def test_an_export_of_label_studio_that_is_too_large_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"text": "x" * 2**20}]))
    assert len(list(LabelStudioExport(path).records())) == 1
    monkeypatch.setattr("producer.label_studio.MAX_EXPORT_BYTES", 2**20)
    with pytest.raises(SourceError, match="is larger than 1 MiB; export fewer tasks at a time"):
        LabelStudioExport(path)


def test_a_config_that_is_nested_without_end_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"x": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(CheckpointError, match=r"config\.json is not JSON"):
        read_config(tmp_path)
