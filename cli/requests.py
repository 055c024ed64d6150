"""What a command's arguments ask for, found out without running the command: schedules keep arguments."""

from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Protocol

import click
from click.core import ParameterSource

from db.database import Database
from db.jobs import NewJob
from producer.enqueue import Doorway

#: Commands whose file has a `request` beside the `command`.
SCHEDULABLE = ("score", "finetune")
#: Options for somebody who waits for the job, by the names of their parameters.
_FOR_WHO_WAITS = {"no_wait": "--no-wait", "as_json": "--json", "on_done": "--on-done"}


class Request(Protocol):
    """What was asked for, with all that it names found."""

    def prepare(self, doorway: Doorway, earlier: Collection[int] | None = None) -> NewJob:
        """Read everything; the job is not there before it is enqueued.

        With `earlier`, ids of model versions, a scoring leaves out what they or its own model have scored.
        """


def read_request(database: Database, command: str, arguments: Sequence[str]) -> Request:
    """Parse arguments as the command itself does, and look for what they name.

    Paths start from the working directory. Raises UsageError, and what the rooms say of what is not there.
    """
    if "-" in arguments:
        raise click.UsageError("a schedule has no standard input; name a source that is there each time")
    module = import_module(f"cli.{command}")
    with module.command.make_context(command, list(arguments)) as context:
        _refuse_waiting(context)
        options = {name: value for name, value in context.params.items() if name not in _FOR_WHO_WAITS}
        return module.request(database, **options)


def _refuse_waiting(context: click.Context) -> None:
    for name, option in _FOR_WHO_WAITS.items():
        if context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT):
            raise click.UsageError(f"{option} is for somebody who waits for the job; leave it out of a schedule")
