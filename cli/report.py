"""`reviewmill report`: one page about what a model said."""

from pathlib import Path

import click
from sqlalchemy import Connection

from cli.output import json_option, notes, print_json, written_whole
from db.report_scope import ReportScope, scope_of_job, scope_of_model
from db.schema import open_database


@click.command("report")
@click.option("--job", type=click.IntRange(min=1), metavar="ID", help="The reviews of this job.")
@click.option(
    "--model", metavar="M", help="All that NAME, NAME@VERSION or NAME@ALIAS said.  [default: the newest job's]"
)
@click.option("--by", multiple=True, metavar="COL", help="Break down by a column kept with `score --keep`; repeatable.")
@click.option("--date", metavar="COL", help="Kept column with the reviews' dates, as 2026-11-28.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The page (HTML) to write, to be read without a network.",
)
@json_option
def command(
    job: int | None, model: str | None, by: tuple[str, ...], date: str | None, output: Path, as_json: bool
) -> None:
    """Write a page about results: labels, probabilities, trend, breakdowns, reviews worth a look, failures, speed.

    Columns that are not named are guessed from what is kept beside the reviews.
    """
    if job is not None and model is not None:
        raise click.UsageError("give --job or --model, not both: a job has its model")
    with open_database().read() as connection:
        scope = scope_of_job(connection, job) if job is not None else scope_of_model(connection, model)
        # Opened before the work: where it cannot be written, that is said at once.
        with written_whole(output) as file, notes.status("Asking the database"):
            file.write(_page(connection, scope, by, date))
    if as_json:
        size = output.stat().st_size
        print_json({"output": str(output.absolute()), "job_id": job, "model": scope.model.reference, "bytes": size})
    else:
        notes.print(f"The report is in {output}", soft_wrap=True, markup=False)


def _page(connection: Connection, scope: ReportScope, by: tuple[str, ...], date: str | None) -> str:
    # Loaded here only: charts and templates are of no use to any other command.
    from cli.results_report.page import Wanted, make_page

    return make_page(connection, Wanted(scope, date, by))
