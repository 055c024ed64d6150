"""`reviewmill models promote`: an alias moves to another version, unless that one is worse."""

import click

from cli.output import json_option, print_json, say
from db.promotion import Promotion, promote
from db.schema import open_database


@click.command("promote")
@click.argument("model", metavar="NAME[@VERSION]")
@click.argument("alias")
@click.option("--force", is_flag=True, help="Move it to a worse version too.")
@json_option
def command(model: str, alias: str, force: bool, as_json: bool) -> None:
    """Move ALIAS, production say, to a version: the newest of NAME unless another is given.

    Refused where the version that has the alias did better on the same held-out examples.
    """
    with open_database().write() as connection:
        moved = promote(connection, model, alias, force=force)
    if as_json:
        print_json(_document(moved))
    else:
        _tell(moved)


def _document(moved: Promotion) -> dict[str, object]:
    contest = moved.contest
    return {
        "model": moved.model.reference,
        "alias": moved.alias,
        "before": moved.holder and moved.holder.reference,
        "metric": contest and {"name": contest.metric, "before": contest.holder, "after": contest.challenger},
    }


def _tell(moved: Promotion) -> None:
    holder, model, contest = moved.holder, moved.model, moved.contest
    if holder is None:
        say(f"{model.reference} is {moved.alias} now.")
    elif holder.id == model.id:
        say(f"{model.reference} is {moved.alias} already.")
    elif contest is None:
        say(f"{model.reference} is {moved.alias} now, in place of {holder.reference}.")
        say("They have no figure on the same held-out examples, so which is better is not known; ask with:")
        say(f"  reviewmill models diff {holder.reference} {model.reference} --source SOURCE --text COL --label COL")
    else:
        figures = f"{contest.metric} {contest.challenger:.4f} after {contest.holder:.4f}"
        say(f"{model.reference} is {moved.alias} now, in place of {holder.reference}: {figures}.")
