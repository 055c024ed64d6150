"""Flat records in every format: what is told beside results, as counts and failures are."""

import csv
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from cli.output import to_json

Record = Mapping[str, Any]


def write_records(format_: str, records: Iterable[Record], file: TextIO) -> None:
    """Write records that all have the same names, as csv, jsonl or json."""
    _WRITERS[format_](records, file)


def write_array(lines: Iterable[str], file: TextIO) -> None:
    """Write documents, each as its JSON, as one array."""
    file.write("[")
    for number, line in enumerate(lines):
        file.write((",\n" if number else "\n") + line)
    file.write("\n]\n")


def _write_csv(records: Iterable[Record], file: TextIO) -> None:
    writer = csv.writer(file)
    for number, record in enumerate(records):
        if number == 0:
            writer.writerow(record)
        writer.writerow(record.values())


def _write_jsonl(records: Iterable[Record], file: TextIO) -> None:
    for record in records:
        file.write(to_json(record) + "\n")


def _write_json(records: Iterable[Record], file: TextIO) -> None:
    write_array(map(to_json, records), file)


_WRITERS: dict[str, Callable[[Iterable[Record], TextIO], None]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "json": _write_json,
}
