"""`reviewmill models diff`: the same reviews with two models, side by side."""

from typing import Any

import click

from cli.columns import find_text, text_option
from cli.comparison import Side, document, show_comparison
from cli.follow import follow_job
from cli.output import json_option, notes, print_json
from cli.reading import open_reviews, reading_options
from cli.stack import running_stack
from cli.summary import finish, outcome
from db.agreement import answers_of_both, check_comparable, computing_s, labels_from_examples, trained_on
from db.checkpoint import REGRESSION, SINGLE_LABEL
from db.comparison import Comparison, compare_classifiers, compare_regressions
from db.database import Database
from db.jobs import JobStatus
from db.registry import RegisteredModel
from db.schema import open_database
from producer.checkpoints import find_or_add_model
from producer.comparison import Compared, compared_of_job, compared_of_source
from producer.enqueue import Doorway
from producer.rows import Columns, check_columns
from producer.settings import ProducerSettings

Models = tuple[RegisteredModel, RegisteredModel]


@click.command("diff")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option("--source", metavar="SOURCE", help="Reviews to compare on; see `score` for what a source is.")
@text_option
@click.option("--id", metavar="COL", help="Column with your own id; without it the text makes one.")
@click.option("--pair", metavar="COL", help="Column with a second text, for models that compare two.")
@click.option("--label", metavar="COL", help="Column with the right label, where it is known.")
@reading_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Read the first N rows only.")
@click.option("--job", type=click.IntRange(min=1), metavar="ID", help="Compare on the reviews of this job instead.")
@json_option
def command(
    first: str,
    second: str,
    source: str | None,
    job: int | None,
    encoding: str | None,
    delimiter: str | None,
    limit: int | None,
    as_json: bool,
    **columns: Any,
) -> int:
    """Score the same reviews with the models A and B, and show where they differ.

    The right labels are those of --label, or those that fine-tuning was given for these reviews.
    """
    _check_options(source, job, {**columns, "encoding": encoding, "delimiter": delimiter, "limit": limit})
    reviews = None if source is None else open_reviews(source, encoding=encoding, delimiter=delimiter)
    if reviews is not None:
        columns["text"] = find_text(reviews, columns.pop("text"), columns.values())
        check_columns(reviews, Columns(**columns))
    database = open_database()
    models = find_or_add_model(database, first), find_or_add_model(database, second)
    check_comparable(*models)
    if reviews is None:
        compared = compared_of_job(database, job or 0)
    else:
        with notes.status("Reading reviews"):
            settings = ProducerSettings()
            read = Columns(**columns, problem_type=models[0].problem_type)
            compared = compared_of_source(database, reviews, read, _possible(models[0]), settings, limit)
    jobs = _score(database, compared, models, (first, second))
    if jobs[-1].state != "done":
        return finish(database, jobs[-1], as_json)
    _tell(database, compared, models, jobs, as_json)
    return 0


def _check_options(source: str | None, job: int | None, reading: dict[str, Any]) -> None:
    given = [f"--{name}" for name, value in reading.items() if value is not None]
    if (source is None) == (job is None):
        raise click.UsageError("give the reviews to compare on: either --source SOURCE, or --job ID")
    if job is not None and given:
        raise click.UsageError(f"{given[0]} goes with --source; a job's reviews are taken as it read them")


def _score(database: Database, compared: Compared, models: Models, asked: tuple[str, str]) -> list[JobStatus]:
    """The jobs, ended, that scored the reviews with each model; fewer where one did not succeed."""
    jobs: list[JobStatus] = []
    with running_stack() as app:
        doorway = Doorway(database, app, ProducerSettings())
        # One after the other: each has the devices to itself, so that its speed is its own.
        for model, reference in zip(models, asked, strict=True):
            jobs.append(follow_job(database, compared.scored_by(model, doorway, reference)))
            if jobs[-1].state != "done":
                break
    return jobs


def _tell(database: Database, compared: Compared, models: Models, jobs: list[JobStatus], as_json: bool) -> None:
    comparison, seen = _compare(database, compared, models, jobs[-1].id)
    first, second = (_side(database, model, job) for model, job in zip(models, jobs, strict=True))
    if as_json:
        print_json(document(comparison, first, second, seen))
    else:
        show_comparison(comparison, first, second, seen)


def _compare(database: Database, compared: Compared, models: Models, job_id: int) -> tuple[Comparison, int]:
    """The comparison, and how many reviews have labels that are not counted, for a model was trained on them."""
    first, second = models
    compare = compare_regressions if first.problem_type == REGRESSION else compare_classifiers
    with database.read() as connection:
        labels = compared.labels or labels_from_examples(connection, job_id, _possible(first))
        seen = trained_on(connection, job_id, [model.id for model in models]) & labels.keys()
        unseen = {review_id: label for review_id, label in labels.items() if review_id not in seen}
        return compare(answers_of_both(connection, job_id, first, second), unseen), len(seen)


def _possible(model: RegisteredModel) -> list[str] | None:
    """The labels that can be right; None where that is not one of a few."""
    return model.labels if model.problem_type == SINGLE_LABEL else None


def _side(database: Database, model: RegisteredModel, job: JobStatus) -> Side:
    with database.read() as connection:
        seconds = computing_s(connection, job.id)
    return Side(model.reference, job, outcome(database, job), job.scored / seconds if seconds else None)
