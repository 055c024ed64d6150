"""`reviewmill forget`: delete a review, everywhere, as the person who wrote it may ask."""

from typing import Any

import click

from cli.deletion import account_as_json, show_account, tell_how_to_go_on, yes_option
from cli.output import counted, json_option, print_json, tell
from db.database import Database
from db.forgetting import Forgotten, forget, plan_forgetting
from db.schema import open_database
from db.vacuum import empty_log

_OUT_OF_REACH = (
    "the weights of models that were fine-tuned on it: see `models list`, and train anew where that matters",
    "files that were written before: results, reports, exported models, and the source it was read from",
    "failures of rows whose id could not be read, and what a log file says",
    "backups and replicas of the database",
)
_SQLITE_PAGES = "old copies in free room of the database's file: reviewmill vacuum --full --yes"
_SQLITE_LOG = "its log, which somebody is reading: reviewmill vacuum --yes"
_POSTGRESQL = "dead rows and the write-ahead log of the server: reviewmill vacuum --yes, and its own archives"


@click.command("forget")
@click.argument("external_id", metavar="EXTERNAL_ID")
@click.option("--source", metavar="S", help="Only the review of this source; otherwise of every one.")
@yes_option
@json_option
def command(external_id: str, source: str | None, yes: bool, as_json: bool) -> None:
    """Delete a review by your own id: every revision, and everything that was said or kept of it.

    Without --yes it only tells what would go. Sent in once more, it is a new review, and scored anew.
    """
    database = open_database()
    if not yes:
        found, log_is_empty = plan_forgetting(database, external_id, source), True
    else:
        found = forget(database, external_id, source)
        log_is_empty = empty_log(database)
    beyond = out_of_reach(database, log_is_empty)
    if as_json:
        print_json({**_document(found), "dry_run": not yes, "out_of_reach": beyond})
        return
    show_account(found.account)
    if found.sources:
        tell(f"It is in: {', '.join(found.sources)}" if not yes else f"Deleted from: {', '.join(found.sources)}")
    if found.same_text:
        tell(f"{counted(found.same_text, 'review')} with other ids and the same text: not deleted with it.")
    tell("Out of reach:")
    for one in beyond:
        tell(f"  {one}")
    if not yes:
        tell_how_to_go_on("deleted")


def out_of_reach(database: Database, log_is_empty: bool) -> list[str]:
    """Where a review may still be, in sentences."""
    if not database.is_sqlite:
        return [*_OUT_OF_REACH, _POSTGRESQL]
    return [*_OUT_OF_REACH, _SQLITE_PAGES, *([] if log_is_empty else [_SQLITE_LOG])]


def _document(found: Forgotten) -> dict[str, Any]:
    facts = {"sources": found.sources, "same_text": found.same_text}
    return {"rows": found.account.rows, "tables": account_as_json(found.account), **facts}
