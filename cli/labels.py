"""`reviewmill labels`: what people say is right, brought back, and how the models do by it."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from cli.label_studio import labeling_config
from cli.output import counted, json_option, one_line, print_json, print_table, say, share, tell
from cli.reading import reading_options
from db.accuracy import Accuracy, accuracy
from db.corrections import CorrectionFilter, find_corrections
from db.registry import find_model, versions_meant
from db.schema import open_database
from db.scored import has_pairs
from producer.corrections import CorrectionsRequest, Imported, import_corrections

#: Refused rows that are told of one by one; --json has all of them.
_SHOWN_REFUSED = 20


@click.group("labels")
def command() -> None:
    """Bring people's corrections back, and see how often the models were right by them."""


@command.command("config")
@click.option("--model", required=True, metavar="M", help="NAME, NAME@VERSION or NAME@ALIAS.")
@json_option
def config(model: str, as_json: bool) -> None:
    """Print the Label Studio labeling configuration for `results --format label-studio`."""
    with open_database().read() as connection:
        found = find_model(connection, model)
        xml = labeling_config(found, has_pairs(connection, found.id))
    if as_json:
        print_json({"model": found.reference, "label_config": xml})
    else:
        click.echo(xml)


@command.command("import")
@click.argument("file", metavar="FILE")
@click.option("--model", metavar="M", help="The model whose answers were looked at, where no column 'model' tells.")
@click.option("--source", metavar="NAME", help="The reviews' source, where no column 'source' tells.")
@click.option("--annotator", metavar="WHO", help="Who labelled, where no column 'annotator' tells.  [default: unknown]")
@click.option("--id", metavar="COL", help="Column with the reviews' ids.  [default: external_id, or id]")
@click.option("--label", metavar="COL", help="Column, or Label Studio control, with what is right.  [default: label]")
@reading_options
@json_option
def import_(as_json: bool, **options: Any) -> int:
    """Store the corrections in FILE: an export of Label Studio (JSON or JSON-MIN), csv, jsonl or parquet.

    Importing it again changes nothing. A row that cannot be stored is told of, and the others are.
    """
    imported = import_corrections(open_database(), CorrectionsRequest(**options))
    if as_json:
        print_json(asdict(imported) | {"refused": [one._asdict() for one in imported.refused]})
    else:
        _show_imported(imported)
    all_refused = len(imported.refused) == imported.read
    return 2 if all_refused else 0


@command.command("list")
@click.option("--model", metavar="M", help="Of this model: a NAME, for all of its versions, or one version.")
@click.option("--since", type=click.DateTime(), metavar="T", help="Corrected at or after this local time.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The latest N.  [default: 20, all with --json]")
@json_option
def list_(model: str | None, since: datetime | None, limit: int | None, as_json: bool) -> None:
    """List the corrections, the latest first."""
    with open_database().read() as connection:
        ids = None if model is None else [one.id for one in versions_meant(connection, model)]
        moment = since.astimezone(UTC) if since else None
        wanted = CorrectionFilter(ids, moment, limit or (None if as_json else 20))
        found = list(find_corrections(connection, wanted))
    if as_json:
        print_json([asdict(one) for one in found])
    elif not found:
        tell("No corrections match; import some with: reviewmill labels import FILE")
    else:
        rows = [
            (one.external_id, one.predicted, one.label, one.annotator, one.corrected_at, one.model, one_line(one.text))
            for one in found
        ]
        print_table(("id", "model said", "right is", "annotator", "corrected", "model", "text"), rows)


@command.command("accuracy")
@click.option("--model", metavar="M", help="Of this model: a NAME, for all of its versions, or one version.")
@click.option("--by", type=click.Choice(["week"]), help="A row for each week in which somebody looked at its answers.")
@json_option
def accuracy_(model: str | None, by: str | None, as_json: bool) -> None:
    """Show how often each version was right on the reviews that people corrected or confirmed."""
    with open_database().read() as connection:
        ids = None if model is None else [one.id for one in versions_meant(connection, model)]
        found = accuracy(connection, ids, by_week=by == "week")
    if as_json:
        print_json([asdict(one) | {"week": one.week and one.week.isoformat(), "accuracy": one.share} for one in found])
    elif not found:
        tell("No corrections match; import some with: reviewmill labels import FILE")
    else:
        _show_accuracy(found)


def _show_imported(imported: Imported) -> None:
    stored = imported.stored
    fates = {**asdict(stored), "without a label": imported.unlabelled, "refused": len(imported.refused)}
    told = ", ".join(f"{count:,} {fate}" for fate, count in fates.items() if count)
    say(f"{counted(imported.read, 'row')} read: {told}.")
    for one in imported.refused[:_SHOWN_REFUSED]:
        review = "" if one.external_id is None else f", review {one.external_id}"
        tell(f"  {imported.rows_are} {one.row}{review}: {one.reason}")
    more = len(imported.refused) - _SHOWN_REFUSED
    if more > 0:
        tell(f"  and {more:,} more, which --json tells too")


def _show_accuracy(found: Sequence[Accuracy]) -> None:
    facts = [
        {
            "model": one.model,
            "week": one.week,
            "reviews": one.reviews,
            "right": one.right,
            "accuracy": share(one.share) or None,
            "mean error": None if one.mean_error is None else f"{one.mean_error:.3f}",
            "ties": one.ties or None,
            "trained on": one.trained_on or None,
            "unanswered": one.unanswered or None,
        }
        for one in found
    ]
    columns = [name for name in facts[0] if any(row[name] is not None for row in facts)]
    rows = [[row[name] for name in columns] for row in facts]
    print_table(columns, rows, numbers=[name for name in columns if name not in ("model", "week")])
