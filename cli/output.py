"""What commands print: tables and words for people, JSON documents for programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Words, bars and notes; standard output is for answers.
notes = Console(stderr=True, highlight=False)
answers = Console(highlight=False)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def tell(words: str) -> None:
    """Say a line to the person, as it is, on standard error."""
    notes.print(words, markup=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """Print one JSON document; times in ISO form with their zone."""
    click.echo(json.dumps(document, default=_plain, ensure_ascii=False, indent=2))


def to_json(document: Any) -> str:
    """A JSON document on one line."""
    return json.dumps(document, default=_plain, ensure_ascii=False)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    numbers: Sequence[str] = (),
    file: TextIO | None = None,
) -> None:
    """Print a table that fits the terminal: the last column gives way first. Columns in `numbers` are set right."""
    # Only a last column of words gives way; the others keep the width of their widest cell.
    gives_way = columns[-1] not in numbers
    table = Table(box=None, pad_edge=False, header_style="bold", expand=gives_way)
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in numbers else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if gives_way and name == columns[-1] else None,
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    (answers if file is None else Console(file=file, highlight=False)).print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values, one a line; what is empty is left out."""
    shown = {name: value for name, value in facts.items() if value not in (None, "", [], {})}
    width = max([21, *map(len, shown)])
    for name, value in shown.items():
        answers.print(f"{name:{width}} {_fact(value)}", markup=False, soft_wrap=True)


def say(words: str) -> None:
    """Print a sentence of an answer; the terminal breaks it where it likes."""
    answers.print(words, markup=False, soft_wrap=True)


@contextmanager
def written_whole(path: Path) -> Iterator[TextIO]:
    """A text file to write: beside its place, and renamed, so that a file of that name is always a whole one.

    Raises ClickException where it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def counted(count: int, name: str) -> str:
    """As in `1 chunk` and `1,300 chunks`."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def share(value: float | None) -> str:
    """As in `97.1%`; nothing for what is not known."""
    return "" if value is None else f"{value:.1%}"


def local_time(moment: datetime | None) -> str:
    """A time as people here read it."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M") if moment else ""


def one_line(text: str, length: int = 120) -> str:
    """A text on one line, cut to a length."""
    line = " ".join(text.replace("<br />", " ").split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _fact(value: Any) -> str:
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value)


def _cell(value: Any) -> Text:
    if isinstance(value, datetime):
        value = local_time(value)
    # Not markup: a review may hold square brackets.
    return Text("" if value is None else str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
