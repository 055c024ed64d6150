"""The stack as commands use it: that of the settings, and a person is told where one is started."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from celery import Celery

from broker import stack
from broker.settings import BrokerSettings
from broker.stack import StackDatabase
from db.database import place_of
from db.settings import DatabaseSettings


@contextmanager
def running_stack() -> Iterator[Celery]:
    """A Celery app with a Redis behind it and workers beside it. Raises RedisUnreachable and BrokerError."""
    settings, database_url = BrokerSettings(), DatabaseSettings().url

    def say() -> None:
        click.echo(f"Starting the embedded stack (log: {settings.log_file})", err=True)

    with stack.running_stack(settings, StackDatabase(database_url, place_of(database_url)), say) as app:
        yield app
