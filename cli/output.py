"""What commands print: tables and words for people, JSON documents for programs."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TextIO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Words, bars and notes; standard output is for answers.
notes = Console(stderr=True, highlight=False)
answers = Console(highlight=False)

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")

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
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table that fits the terminal: the last column gives way first. Columns in `numbers` are set right.

    `styles` are of columns, by name; there is no style but on a terminal.
    """
    # Only a last column of words gives way; the others keep the width of their widest cell.
    gives_way = columns[-1] not in numbers
    table = Table(box=None, pad_edge=False, header_style="bold", expand=gives_way)
    for name in columns:
        table.add_column(
            name,
            style=(styles or {}).get(name),
            justify="right" if name in numbers else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if gives_way and name == columns[-1] else None,
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    (answers if file is None else _console(file)).print(table)


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
def written_whole(path: Path, binary: bool = False) -> Iterator[IO[Any]]:
    """A file to write: beside its place, and renamed, so that a file of that name is always a whole one.

    It is open before this returns, and on the disk when it gets its name; until then, and where anything fails, what
    had the name keeps it. A link is followed, and what is no file, a pipe say, is written to as it is. Raises
    ClickException where it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("wb" if binary else "w", **_encoding(binary)) as file:
                yield file
        else:
            with _renamed(path.resolve(), binary) as file:
                yield file
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror or error}") from error


@contextmanager
def _renamed(path: Path, binary: bool) -> Iterator[IO[Any]]:
    # A name of this process's own: two that write the same file at once must not write into one another.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb" if binary else "w", **_encoding(binary)) as file:
            if path.exists():
                # Who may not read the old file may not read the new one.
                shutil.copymode(path, partial)
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encoding(binary: bool) -> dict[str, Any]:
    return {} if binary else {"encoding": "utf-8", "newline": ""}


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


def _console(file: TextIO) -> Console:
    # Told outright: else a variable of the environment could have a file coloured.
    return Console(file=file, highlight=False, force_terminal=file.isatty())


def _fact(value: Any) -> str:
    if isinstance(value, datetime):
        return local_time(value)
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return str(value)


def harmless(text: str) -> str:
    """Without orders to the terminal, such as those that move the cursor or change its title."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _cell(value: Any) -> Text:
    if isinstance(value, datetime):
        value = local_time(value)
    # Not markup: a review may hold square brackets.
    return Text("" if value is None else harmless(str(value)))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
