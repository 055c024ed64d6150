"""What deletions say: what would go, what went, and how to go on."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.progress import Progress, SpinnerColumn, TextColumn

from cli.output import counted, notes, print_table, tell
from db.deletion import Account

yes_option = click.option("--yes", is_flag=True, help="Do it. Without this, only what would be done is told.")


def show_account(account: Account) -> None:
    """Print what goes, table by table."""
    rows = [
        (name, f"{one.rows:,}", one.oldest, one.newest, one.example) for name, one in account.tables.items() if one.rows
    ]
    if rows:
        print_table(("table", "rows", "oldest", "newest", "for example"), rows, numbers=("rows",))


def account_as_json(account: Account) -> dict[str, Any]:
    """Tables by name, with rows, the oldest and newest time, and an example; those of no rows left out."""
    return {
        name: {"rows": one.rows, "oldest": one.oldest, "newest": one.newest, "example": one.example}
        for name, one in account.tables.items()
        if one.rows
    }


def tell_how_to_go_on(what: str) -> None:
    """Say that nothing was done yet, and the command that does it."""
    command = shlex.join(["reviewmill", *sys.argv[1:], "--yes"])
    tell(f"Nothing was {what} yet. To go on: {command}")


@contextmanager
def counting(words: str) -> Iterator[Callable[[int], None]]:
    """Show how many rows were dealt with; gives what is to be told of each further number."""
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=notes, transient=True) as bar:
        task, done = bar.add_task(words), [0]

        def count(rows: int) -> None:
            done[0] += rows
            bar.update(task, description=f"{words}: {counted(done[0], 'row')}")

        yield count
