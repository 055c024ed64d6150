"""The command `reviewmill`: finds the command's file, and turns what goes wrong into one line."""

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

#: Each command, the file that holds it, and its line in the help. The files are imported only when
#: their command runs, so that the help appears at once.
COMMANDS = {
    "demo": ("cli.demo", "Fine-tune on real reviews and score 2,000 more: a tour in a few minutes."),
    "score": ("cli.score", "Score every review of a source."),
    "estimate": ("cli.estimate", "Tell what scoring a source would come to."),
    "finetune": ("cli.finetune", "Fine-tune a classifier on labelled reviews."),
    "jobs": ("cli.jobs", "List, show, watch, cancel and retry jobs."),
    "results": ("cli.results", "Ask for predictions."),
    "labels": ("cli.labels", "Bring people's corrections back, and see how often models were right."),
    "report": ("cli.report", "Write a page about results, to be read without a network."),
    "models": ("cli.models", "List, show, add, promote, compare and export models."),
    "schedule": ("cli.schedule", "Score or fine-tune by the clock: every night, every hour."),
    "up": ("cli.up", "Keep the embedded stack running, and the schedules."),
    "worker": ("cli.worker", "Work on jobs, one process a device."),
    "workers": ("cli.workers", "List who works: on what device, with which model, how fast."),
    "beat": ("cli.beat", "Run the schedules, and ring again for work whose message was lost."),
    "prune": ("cli.prune", "Delete what old jobs left behind."),
    "forget": ("cli.forget", "Delete a review everywhere, by your own id."),
    "vacuum": ("cli.vacuum", "Give the room of what was deleted back to the disk."),
    "db": ("cli.database", "Look after the database."),
}

#: The command was wrong, as in the contract of exit codes; a job that failed or was cancelled is 1.
WRONG = 2


class LazyGroup(click.Group):
    """A group whose commands live in files of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's file and return its `command`."""
        if cmd_name not in COMMANDS:
            return None
        _log_to_stderr()
        return import_module(COMMANDS[cmd_name][0]).command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("reviewmill"), prog_name="reviewmill")
def reviewmill() -> None:
    """Classify reviews in bulk with transformer models, and keep every probability in SQL."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code: 0 done, 1 the job failed or was cancelled, 2 the command was wrong."""
    try:
        code = reviewmill.main(args=arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(WRONG)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output, `head` perhaps, has seen enough; Python must not flush into it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        click.echo(f"Error: {message}", err=True)
        sys.exit(WRONG)
    sys.exit(code if isinstance(code, int) else 0)


def _message(error: Exception) -> str | None:
    """What to tell a person of the error; None for a fault of the program, which deserves its traceback."""
    if _is_ours(error):
        return str(error)
    if type(error).__module__.startswith("pydantic") and type(error).__name__ == "ValidationError":
        return _wrong_setting(error)
    return None


def _wrong_setting(error: Any) -> str:
    first = error.errors()[0]
    setting = f"REVIEWMILL_{'_'.join(map(str, first['loc'])).upper()}"
    return f"the setting {setting} is {first['input']!r}: {first['msg'].lower()}"


def _is_ours(error: Exception) -> bool:
    """Whether a room said this to a person, rather than a fault of the program."""
    roots = {"ProducerError", "DatabaseError", "BrokerError", "WorkerError"}
    rooms = {"producer", "db", "broker", "worker"}
    return any(cls.__name__ in roots and cls.__module__.partition(".")[0] in rooms for cls in type(error).__mro__)


def _log_to_stderr() -> None:
    """Have what rooms log go where no answer goes; a person is told of it where it is a warning."""
    from worker.logs import log_to_stderr

    log_to_stderr("warning")
    logging.getLogger().setLevel(logging.ERROR)


if __name__ == "__main__":
    main()
