"""What formats are called, and what the ending of a file's name says of its format."""

from pathlib import Path

import click

FORMATS = ("table", "json", "jsonl", "csv", "parquet")
#: These are bytes, of no use on a terminal.
BINARY = frozenset({"parquet"})
_ENDINGS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "table",
}


def format_of(asked: str | None, output: Path | None) -> str:
    """The format asked for, or else the one that the file's ending tells, or a table. Raises UsageError."""
    if asked is not None:
        return asked
    if output is None:
        return "table"
    ending = output.suffix.lower()
    if ending not in _ENDINGS:
        said = f"the ending {ending!r}" if ending else "a name without an ending"
        known = ", ".join(_ENDINGS)
        raise click.UsageError(f"{said} tells no format: give --format, or let {output} end in one of {known}")
    return _ENDINGS[ending]
