"""`reviewmill db`: the database's own upkeep."""

from pathlib import Path

import click
from rich.filesize import decimal

from cli.output import json_option, print_json, say
from db.backup import back_up
from db.database import Database
from db.schema import HEAD_REVISION, current_revision, open_database, upgrade
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


@command.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def backup_command(file: Path, as_json: bool) -> None:
    """Write a copy of the SQLite database to a new FILE, while everybody works.

    To go back to it, stop everything, put it in the database's place, and start again.
    """
    size = back_up(open_database(), file)
    if as_json:
        print_json({"file": str(file.absolute()), "bytes": size})
        return
    say(f"{file} holds the whole database, {decimal(size)}.")
