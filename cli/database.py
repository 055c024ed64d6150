"""`reviewmill db`: the database's own upkeep."""

import click

from cli.output import say
from db.database import Database
from db.schema import HEAD_REVISION, current_revision, upgrade
from db.settings import DatabaseSettings


@click.group("db")
def command() -> None:
    """Look after the database."""


@command.command("upgrade")
def upgrade_command() -> None:
    """Bring the tables to this version's. SQLite does so by itself.

    Tables of a later version that this one works with stay as they are.
    """
    database = Database(DatabaseSettings().url)
    upgrade(database)
    revision = current_revision(database)
    later = "" if revision == HEAD_REVISION else f", which a later version made; this one knows {HEAD_REVISION}"
    say(f"{database.place} is at revision {revision}{later}.")
