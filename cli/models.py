"""`reviewmill models`: the registry."""

from dataclasses import asdict
from pathlib import Path

import click
from sqlalchemy import Connection

from cli.diff import command as diff_command
from cli.evaluation import show_evaluation
from cli.export import command as export_command
from cli.output import json_option, notes, print_facts, print_json, print_table, say, written_whole
from cli.precision import show_precisions
from cli.promote import command as promote_command
from cli.provenance import show_provenance
from db.budgets import budgets_of
from db.precisions import precisions_of
from db.registry import RegisteredModel, find_model, list_models
from db.schema import open_database
from producer.checkpoints import add_from


@click.group("models")
def command() -> None:
    """List, show, add, promote, compare and export models."""


command.add_command(promote_command)
command.add_command(diff_command)
command.add_command(export_command)


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """Every version of every model."""
    with open_database().read() as connection:
        models = list_models(connection)
    if as_json:
        print_json([asdict(model) for model in models])
    elif not models:
        notes.print("There are no models yet; fine-tune one, or add one with `reviewmill models add`.")
    else:
        columns = ("model", "aliases", "family", "base", "tokens", "created", "labels")
        rows = [
            (
                one.reference,
                ", ".join(one.aliases),
                one.family,
                one.base,
                one.max_tokens,
                one.created_at,
                ", ".join(one.labels),
            )
            for one in models
        ]
        print_table(columns, rows, numbers=("tokens",))


@command.command("show")
@click.argument("model")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page (HTML) on how it was trained and where it is wrong, to be read without a network.",
)
@json_option
def show_command(model: str, report: Path | None, as_json: bool) -> None:
    """Everything about one version: NAME (the newest), NAME@VERSION or NAME@ALIAS."""
    with open_database().read() as connection:
        found = find_model(connection, model)
        precisions = precisions_of(connection, found.id)
        budgets = budgets_of(connection, found.id)
        if report is not None:
            _write_report(connection, found, report)
    if as_json:
        print_json({**asdict(found), "precisions": [asdict(one) for one in precisions], "token_budgets": budgets})
        return
    facts = asdict(found)
    metrics, provenance = facts.pop("metrics"), facts.pop("provenance")
    evaluation = metrics.pop("evaluation", None)
    print_facts(facts | metrics)
    if evaluation:
        show_evaluation(evaluation)
    show_provenance(provenance)
    show_precisions(precisions)
    if budgets:
        say("\nTokens of one batch")
    for device, tokens in budgets.items():
        say(f"  {tokens:,} on {device}")


def _write_report(connection: Connection, model: RegisteredModel, path: Path) -> None:
    # Loaded here only: charts and templates are of no use to any other command.
    from cli.model_report.gather import gather
    from cli.model_report.page import make_page

    page = make_page(gather(connection, model))
    with written_whole(path) as file:
        file.write(page)
    notes.print(f"The report on {model.reference} is in {path}", soft_wrap=True)


@command.command("add")
@click.argument("source")
@click.option("--name", required=True, help="Name in the registry.")
@json_option
def add_command(source: str, name: str, as_json: bool) -> None:
    """Register a checkpoint: a directory with config.json and safetensors, or a hub id."""
    added = add_from(open_database(), source, name)
    if as_json:
        print_json(asdict(added))
    else:
        say(f"{added.reference}: {added.family}, labels {', '.join(added.labels)}")
