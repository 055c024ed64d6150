"""Every format holds every value, of results and of any other rows."""

import csv
import io
import json
import math
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from cli.formats import FORMATS, Column, Kind, format_of, write_rows

ROWS = [
    (
        'Ünï 👍\n"x"',
        1,
        0.1 + 0.2,
        True,
        datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        {"é": [1, "=x"]},
        {"a": 1e-9, "b": 1.0},
    ),
    ("", 2**53, 5e-324, False, datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC), [], {"a": 0.0, "b": -2.5}),
    (None,) * 7,
]
KINDS = (Kind.TEXT, Kind.INTEGER, Kind.NUMBER, Kind.FLAG, Kind.TIME, Kind.JSON, Kind.PROBABILITIES)
COLUMNS = [Column(kind.name.lower(), kind) for kind in KINDS]
PLAIN = [tuple(value.isoformat() if isinstance(value, datetime) else value for value in row) for row in ROWS]


def text(format_: str, columns: Any, rows: Any) -> str:
    file = io.StringIO(newline="")
    write_rows(format_, columns, rows, file)
    return file.getvalue()


def expected() -> list[dict[str, Any]]:
    return [dict(zip((column.name for column in COLUMNS), row, strict=True)) for row in PLAIN]


def test_json_and_jsonl_hold_every_value() -> None:
    assert json.loads(text("json", COLUMNS, ROWS)) == expected()
    assert [json.loads(line) for line in text("jsonl", COLUMNS, ROWS).splitlines()] == expected()
    assert json.loads(text("json", COLUMNS, [])) == []
    assert text("jsonl", COLUMNS, []) == ""


def test_more_rows_than_a_batch_are_one_document() -> None:
    rows = [(number, str(number)) for number in range(2_500)]
    columns = [Column("100%", Kind.INTEGER), Column("%s", Kind.NAME)]
    documents = [{"100%": number, "%s": str(number)} for number in range(2_500)]
    assert json.loads(text("json", columns, rows)) == documents
    assert [json.loads(line) for line in text("jsonl", columns, rows).splitlines()] == documents
    assert len(list(csv.reader(io.StringIO(text("csv", columns, rows))))) == 2_501


def test_numbers_that_json_has_no_word_for_are_spelled_as_python_reads_them() -> None:
    values = [(math.inf,), (-math.inf,), (math.nan,), (None,), (1e308,), (1e308,)]
    read = [json.loads(line)["n"] for line in text("jsonl", [Column("n", Kind.NUMBER)], values).splitlines()]
    assert read[:2] == [math.inf, -math.inf]
    assert math.isnan(read[2])
    assert read[3:] == [None, 1e308, 1e308]


def test_escapes_of_stored_json_are_characters_but_for_halves_of_one() -> None:
    stored = [(r'{"b\u00fc": "\ud83d\udc4d"}',), (r'{"half": "\ud83d"}',), (None,)]
    lines = text("jsonl", [Column("j", Kind.JSON)], stored).splitlines()
    assert lines == ['{"j": {"bü": "👍"}}', r'{"j": {"half": "\ud83d"}}', '{"j": null}']


@pytest.mark.parametrize("format_", [name for name in FORMATS if name != "parquet"])
def test_columns_that_are_only_named_are_told_by_their_values(format_: str) -> None:
    names = ["label", "count", "share", "week", "metadata"]
    rows = [("good", 3, 0.75, datetime(2026, 3, 1, tzinfo=UTC), {"a": 1}), ("-bad", 1, 1, None, None)]
    made = text(format_, names, rows)
    assert "good" in made
    if format_ == "json":
        assert [one["share"] for one in json.loads(made)] == [0.75, 1]
        assert json.loads(made)[0]["metadata"] == {"a": 1}
    if format_ == "csv":
        assert list(csv.reader(io.StringIO(made)))[2] == ["'-bad", "1", "1", "", ""]


@pytest.mark.parametrize(
    ("asked", "name", "format_"),
    [
        (None, None, "table"),
        ("csv", None, "csv"),
        (None, "a.CSV", "csv"),
        (None, "a.b.jsonl", "jsonl"),
        (None, "a.ndjson", "jsonl"),
        (None, "a.json", "json"),
        (None, "a.parquet", "parquet"),
        (None, "a.txt", "table"),
        ("json", "a.csv", "json"),
        ("json", "a", "json"),
    ],
)
def test_the_ending_tells_the_format_where_none_is_asked_for(asked: str | None, name: str | None, format_: str) -> None:
    assert format_of(asked, name and Path(name)) == format_


@pytest.mark.parametrize("name", ["a", "a.xlsx", "a.csv.gz"])
def test_an_ending_that_tells_nothing_is_refused(name: str) -> None:
    with pytest.raises(click.UsageError, match=r"tells no format: give --format, or .*\.parquet") as refused:
        format_of(None, Path(name))
    assert "\n" not in refused.value.message


def test_only_parquet_loads_its_library() -> None:
    program = (
        "import io, sys; from cli.formats import write_rows, Column, Kind\n"
        "for name in ('csv', 'json', 'jsonl', 'table'): write_rows(name, ['a'], [('b',)], io.StringIO())\n"
        "import cli.formats.to_parquet, cli.results; print('pyarrow' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False"]
