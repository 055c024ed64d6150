"""`reviewmill prune`: delete what old jobs left behind."""

from datetime import datetime, timedelta
from typing import Any

import click

from cli.age import Age, moment_of
from cli.deletion import account_as_json, counting, show_account, tell_how_to_go_on, yes_option
from cli.output import counted, json_option, local_time, print_json, tell
from db.deletion import Account
from db.prunable import PruneWish
from db.prune_plan import plan_pruning
from db.pruning import Pruning
from db.registry import find_model
from db.schema import open_database


@click.command("prune")
@click.option(
    "--older-than",
    type=Age(),
    required=True,
    metavar="AGE",
    help="Of jobs that ended longer ago, as in 90d, 12h or 4w, or before a date.",
)
@click.option("--keep-latest", is_flag=True, help="Keep the newest prediction of each review.")
@click.option(
    "--job", "jobs", type=click.IntRange(min=1), multiple=True, metavar="ID", help="Only this job. Repeatable."
)
@click.option("--model", "models", multiple=True, metavar="M", help="Only jobs of this model version. Repeatable.")
@yes_option
@json_option
def command(
    older_than: timedelta | datetime,
    keep_latest: bool,
    jobs: tuple[int, ...],
    models: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Delete predictions, failures, jobs and reviews that are old and that no younger job needs.

    Workers go on beside it. Without --yes it only tells what would go.
    """
    database = open_database()
    with database.read() as connection:
        model_ids = tuple(find_model(connection, model).id for model in models)
        wish = PruneWish(moment_of(connection, older_than), keep_latest, jobs, model_ids)
    if not yes:
        _told(wish, plan_pruning(database, wish), as_json)
        return
    with counting("Pruning") as count:
        pruning = Pruning(database, wish, count)
        account = pruning.run()
    if as_json:
        print_json(_document(wish, account, dry_run=False, longest_lock_s=round(pruning.pace.longest_s, 3)))
        return
    show_account(account)
    if account.rows:
        tell(f"Deleted {counted(account.rows, 'row')}. To give their room back to the disk: reviewmill vacuum")
    else:
        tell("Nothing was old enough.")


def _told(wish: PruneWish, account: Account, as_json: bool) -> None:
    if as_json:
        print_json(_document(wish, account, dry_run=True))
        return
    show_account(account)
    if account.rows:
        tell(f"This is what jobs that ended before {local_time(wish.before)} left, and no other job needs.")
        tell_how_to_go_on("deleted")
    else:
        tell(f"Nothing that ended before {local_time(wish.before)} is there to be deleted.")


def _document(wish: PruneWish, account: Account, **further: Any) -> dict[str, Any]:
    return {"before": wish.before, "rows": account.rows, "tables": account_as_json(account), **further}
