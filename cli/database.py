"""`reviewmill db`: the database's own upkeep."""

import click

from cli.output import say
from db.database import Database
from db.schema import HEAD_REVISION, upgrade
from db.settings import DatabaseSettings


@click.group("db")
def command() -> None:
    """Look after the database."""


@command.command("upgrade")
def upgrade_command() -> None:
    """Bring the tables to this version's. SQLite does so by itself."""
    database = Database(DatabaseSettings().url)
    upgrade(database)
    say(f"{database.place} is at revision {HEAD_REVISION}.")
