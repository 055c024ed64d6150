"""A bar while rows are written to a file, for somebody who waits at a terminal."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.output import notes


def watched(batches: Iterable[Sequence[Any]], count: Callable[[], int | None], wanted: bool) -> Iterator[Sequence[Any]]:
    """The batches, with a bar where one is wanted and standard error is a terminal.

    `count` tells how many rows there will be at most, or None; it is asked for only where there is a bar.
    """
    if not (wanted and notes.is_terminal):
        yield from batches
        return
    with Progress(
        TextColumn("Writing"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn(), console=notes
    ) as bar:
        task = bar.add_task("", total=count())
        for batch in batches:
            yield batch
            bar.advance(task, len(batch))
        bar.update(task, total=bar.tasks[task].completed)
