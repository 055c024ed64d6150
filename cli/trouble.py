"""What went wrong with a job, in words: one reason a line, whole, however narrow the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.output import counted, local_time, say
from db.jobs import Trouble


def show_troubles(troubles: Sequence[Trouble]) -> None:
    """Print the chunks that failed, wait to be tried again, or lost a worker."""
    if troubles:
        say("\nChunks in trouble")
    for one in troubles:
        say(f"  chunk {one.chunk}: {_how_it_stands(one)}")
        if one.error:
            say(f"    {one.error}")


def show_failures(failures: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows that failed, or the first of them, one a line: which, where and why."""
    for one in failures:
        say(f"  {_which_row(one)}: {one['reason']}")


def _how_it_stands(one: Trouble) -> str:
    counts = {"attempt": one.attempt, "error": one.errors, "death": one.deaths}
    so_far = ", ".join(counted(count, name) for name, count in counts.items() if count)
    again = f", to be tried again at {local_time(one.next_attempt_at)}" if one.next_attempt_at else ""
    return f"{one.state} after {so_far}{again}"


def _which_row(failure: Mapping[str, Any]) -> str:
    """As in `line 7, review r1`; a row refused while reading has a line, and one that failed at the model has not."""
    known = {"line": failure["row"], "review": failure["external_id"]}
    return ", ".join(f"{name} {value}" for name, value in known.items() if value is not None) or "a row"
