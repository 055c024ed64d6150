"""parquet has types, is written in groups of rows, and opens in pyarrow and in datasets."""

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from cli.formats import Column, Kind, to_parquet, write_rows
from cli.result_columns import RESULT_COLUMNS, columns_of

TIME = datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC)


def results(count: int) -> Iterator[Sequence[Any]]:
    for number in range(count):
        label = "good" if number % 3 else "bad"
        probabilities = f'{{"bad": {number / 7!r}, "good": 1e-09}}' if number else None
        time = (TIME + timedelta(seconds=number)).isoformat()
        metadata = '{"brand": "\\u00fc"}' if number % 2 else None
        yield (
            number, "f.csv", f"r{number}", "stars@1", label, 0.1 + number, None, probabilities, 5, number % 2 == 0,
            "int8", "whole", 1, time, f"text {number} 👍", None, metadata,
        )  # fmt: skip


def file_of(path: Path, rows: Iterator[Sequence[Any]], labels: tuple[str, ...] | None) -> parquet.ParquetFile:
    with path.open("wb") as file:
        write_rows("parquet", columns_of(labels), rows, file)
    return parquet.ParquetFile(path)


def test_every_column_has_its_type(tmp_path: Path) -> None:
    made = file_of(tmp_path / "a.parquet", results(10), ("bad", "good")).schema_arrow
    assert made.names == [column.name for column in RESULT_COLUMNS]
    types = {name: made.field(name).type for name in made.names}
    assert types["review_id"] == pa.int64()
    assert types["score"] == pa.float64()
    assert types["truncated"] == pa.bool_()
    assert types["scored_at"] == pa.timestamp("us", tz="UTC")
    assert types["probabilities"] == pa.struct([("bad", pa.float64()), ("good", pa.float64())])
    assert types["metadata"] == types["text"] == pa.string()


@pytest.mark.parametrize("labels", [("bad", "good"), None])
def test_every_value_is_there(tmp_path: Path, labels: tuple[str, ...] | None) -> None:
    read = file_of(tmp_path / "a.parquet", results(2_500), labels).read().to_pylist()
    assert [one["review_id"] for one in read] == list(range(2_500))
    assert [one["scored_at"] for one in read] == [TIME + timedelta(seconds=number) for number in range(2_500)]
    assert read[0]["probabilities"] is None
    assert dict(read[7]["probabilities"]) == {"bad": 1.0, "good": 1e-9}
    assert read[8]["score"] == 8.1
    assert read[8]["metadata"] is None
    assert read[9]["metadata"] == '{"brand": "ü"}'
    assert read[9]["text"] == "text 9 👍"
    assert (read[4]["truncated"], read[5]["truncated"]) == (True, False)


def test_models_with_labels_of_their_own_have_a_map(tmp_path: Path) -> None:
    rows = [('{"a": 0.5, "b": 1e-9}',), ('{"c": 1.0}',), ("{}",)]
    path = tmp_path / "a.parquet"
    with path.open("wb") as file:
        write_rows("parquet", [Column("p", Kind.PROBABILITIES)], rows, file)
    read = parquet.read_table(path)
    assert read.schema.field("p").type == pa.map_(pa.string(), pa.float64())
    assert [dict(one) for one in read["p"].to_pylist()] == [{"a": 0.5, "b": 1e-9}, {"c": 1.0}, {}]


def test_labels_are_encoded_by_a_dictionary_and_texts_are_not(tmp_path: Path) -> None:
    group = file_of(tmp_path / "a.parquet", results(3_000), ("bad", "good")).metadata.row_group(0)
    encodings = {group.column(at).path_in_schema: group.column(at).encodings for at in range(group.num_columns)}
    assert "RLE_DICTIONARY" in encodings["label"]
    assert "RLE_DICTIONARY" in encodings["model"]
    assert "RLE_DICTIONARY" not in encodings["text"]


def test_rows_are_written_in_groups_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_parquet, "_GROUP_ROWS", 2_000)
    sizes: list[int] = []
    path = tmp_path / "a.parquet"

    def watched() -> Iterator[Sequence[Any]]:
        for row in results(7_000):
            sizes.append(path.stat().st_size)
            yield row

    made = file_of(path, watched(), ("bad", "good"))
    assert [made.metadata.row_group(at).num_rows for at in range(made.num_row_groups)] == [2_000, 2_000, 2_000, 1_000]
    assert sizes[6_500] > sizes[2_500] > sizes[500]


def test_long_texts_make_groups_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_parquet, "_GROUP_BYTES", 3 * 2**20)
    file = io.BytesIO()
    write_rows("parquet", [Column("t", Kind.TEXT)], (("x" * 2_000,) for _ in range(6_000)), file)
    assert parquet.ParquetFile(file).num_row_groups == 3


def test_datasets_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    file_of(path, results(1_500), ("bad", "good"))
    opened = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert opened.num_rows == 1_500
    assert opened[7]["probabilities"] == {"bad": 1.0, "good": 1e-9}
    assert opened[7]["label"] == "good"
    assert opened[7]["scored_at"] == TIME + timedelta(seconds=7)
    streamed = datasets.load_dataset("parquet", data_files=str(path), split="train", streaming=True)
    assert next(iter(streamed))["text"] == "text 0 👍"


def test_no_rows_have_their_columns_still(tmp_path: Path) -> None:
    made = file_of(tmp_path / "a.parquet", results(0), None)
    assert made.metadata.num_rows == 0
    assert made.schema_arrow.names == [column.name for column in RESULT_COLUMNS]
