"""`reviewmill up`: the embedded stack, kept running for other commands."""

import signal

import click

from broker.errors import BrokerError
from broker.settings import BrokerSettings
from cli.output import notes
from cli.stack import running_stack
from cli.timekeeper import keep_time, stop_on_signals
from db.schema import open_database
from worker.logs import log_to_stderr


@click.command("up")
def command() -> None:
    """Keep a Redis and a worker running on this machine until Ctrl-C, for other commands to use; run the schedules."""
    settings = BrokerSettings()
    if not settings.is_embedded:
        raise BrokerError(
            "REVIEWMILL_REDIS_URL is set, so there is no embedded stack to run; start `reviewmill worker` instead"
        )
    database = open_database()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running_stack():
        stopping = stop_on_signals()
        notes.print(f"Redis     {settings.socket}", markup=False)
        notes.print(f"Database  {database.place}", markup=False)
        notes.print(f"Log       {settings.log_file}", markup=False)
        notes.print("The stack is up. Ctrl-C stops it.")
        log_to_stderr()
        keep_time(database, settings.url, stopping)
        notes.print("Stopping.")
