"""Where rows go: a file that is there whole or not at all, or standard output."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from cli.formats.names import BINARY
from cli.output import written_whole


@contextmanager
def destination(format_: str, output: Path | None) -> Iterator[IO[Any]]:
    """A file to write the format to, opened now, so that one that cannot be is told before anything is asked for.

    Raises ClickException where it cannot be written, and UsageError for bytes on a terminal.
    """
    is_binary = format_ in BINARY
    if output is not None:
        with written_whole(output, binary=is_binary) as file:
            yield file
    elif not is_binary:
        yield sys.stdout
    elif sys.stdout.isatty():
        raise click.UsageError(f"{format_} is not for a terminal: write it to a file with -o FILE, or into a pipe")
    else:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
