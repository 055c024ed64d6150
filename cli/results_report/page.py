"""The page: what the database counted, section by section, in a template that escapes all that it is given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from cli.output import local_time, share
from cli.pages.model_facts import held_out_scores, model_facts
from cli.pages.template import render
from cli.results_report.breakdown import breakdown_section
from cli.results_report.charts import short_count
from cli.results_report.columns import SAMPLE, guess_breakdowns, guess_date
from cli.results_report.corrections import corrections_section
from cli.results_report.examples import examples_sections
from cli.results_report.labels import answers_section
from cli.results_report.palette import Palette, choose_palette
from cli.results_report.sections import Section
from cli.results_report.trend import trend_section
from cli.results_report.work import failures_section, speed_section
from db.jobs import JobStatus, job_status
from db.kept import check_kept_columns
from db.outcome import job_outcome
from db.registry import RegisteredModel
from db.report import LabelShare, Totals, label_shares, totals
from db.report_reviews import SHOWN_CHARS, ShownReview, sample_kept
from db.report_scope import ReportScope, in_scope
from db.report_work import Work, work

#: Of a review of several labels so many are named beside it.
_NAMED_LABELS = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a page is to tell of: the columns of dates and of breakdowns, guessed where they are not given."""

    scope: ReportScope
    date_column: str | None = None
    by_columns: Sequence[str] = ()


def make_page(connection: Connection, wanted: Wanted) -> str:
    """The page as HTML, whole in one document. Raises UnknownColumn."""
    scope = wanted.scope
    check_kept_columns(connection, [*wanted.by_columns, *([wanted.date_column] if wanted.date_column else [])])
    job = job_status(connection, scope.job_id) if scope.job_id is not None else None
    with in_scope(connection, scope):
        counted, done = totals(connection, scope), work(connection, scope)
        shares = [] if scope.gives_numbers else label_shares(connection, scope)
        sections = list(_sections(connection, wanted, counted, shares, done))
    return render(
        Path(__file__).parent,
        "page.html",
        title=_title(scope, job),
        subtitle=_subtitle(scope, job),
        notice=_notice(job, counted),
        tiles=_tiles(connection, scope, counted, shares, done, job),
        sections=sections,
        model=scope.model,
        made=datetime.now(UTC).astimezone().strftime("%Y-%m-%d %H:%M"),
        verdict=lambda review: _verdict(scope, review),
        cut=lambda review: review.chars > SHOWN_CHARS,
        text=lambda text: text.replace("<br />", "\n"),
    )


def _sections(
    connection: Connection, wanted: Wanted, counted: Totals, shares: Sequence[LabelShare], done: Work
) -> Iterator[Section]:
    scope = wanted.scope
    if counted.reviews:
        palette = choose_palette(
            scope.model.labels, [one.label for one in shares], exclude_one_another=not scope.gives_several
        )
        yield answers_section(connection, scope, counted, shares, palette)
        yield from _by_column(connection, wanted, counted, palette)
        corrections = corrections_section(connection, scope)
        if corrections is not None:
            yield corrections
        yield from examples_sections(connection, scope, palette)
    yield failures_section(connection, scope, done)
    yield speed_section(connection, scope)
    yield _model_section(scope.model)


def _by_column(connection: Connection, wanted: Wanted, counted: Totals, palette: Palette) -> Iterator[Section]:
    sample = sample_kept(connection, wanted.scope, SAMPLE)
    date_column = wanted.date_column or guess_date(sample)
    if date_column is not None:
        yield trend_section(connection, wanted.scope, date_column, palette)
    for number, column in enumerate(wanted.by_columns or guess_breakdowns(sample, date_column)):
        yield breakdown_section(connection, wanted.scope, column, palette, counted, number)


def _model_section(model: RegisteredModel) -> Section:
    facts = {
        "Version": model.reference,
        "Aliases": ", ".join(model.aliases),
        **model_facts(model),
        "Registered": local_time(model.created_at),
        "Temperature": model.metrics.get("temperature") and f"{model.metrics['temperature']:.3g}",
    }
    evaluation = model.metrics.get("evaluation") or {}
    split = evaluation.get("split")
    note = ""
    if split:
        facts |= {f"{name}, {split}": score for name, score in held_out_scores(model.metrics, split).items()}
        note = f"How it was trained and where it is wrong: reviewmill models show {model.reference} --report FILE"
    return Section("The model", note, facts={name: value for name, value in facts.items() if value})


def _title(scope: ReportScope, job: JobStatus | None) -> str:
    if job is None:
        return f"What {scope.model.reference} says"
    return f"Job {job.id}: {job.params.get('source', 'reviews')}"


def _subtitle(scope: ReportScope, job: JobStatus | None) -> str:
    if job is None:
        return "Of all reviews that it has scored"
    when = local_time(job.finished_at or job.started_at or job.created_at)
    return f"{scope.model.reference}, {job.state}, {when}"


def _notice(job: JobStatus | None, counted: Totals) -> str:
    """What a reader must know before all else; empty for a job that is done."""
    if job is None:
        return "" if counted.reviews else "This version has no results yet."
    left = job.total - job.scored - job.reused - job.failed
    state = {
        "pending": "It waits for a worker.",
        "running": f"It is still running: {left:,} of {job.total:,} rows are to come.",
        "cancelled": f"It was cancelled, with {left:,} of {job.total:,} rows to go. What was scored is told of here.",
        "failed": f"It failed: {job.error}",
    }.get(job.state, "")
    return state if counted.reviews else f"{state} It has no results.".strip()


def _tiles(
    connection: Connection,
    scope: ReportScope,
    counted: Totals,
    shares: Sequence[LabelShare],
    done: Work,
    job: JobStatus | None,
) -> dict[str, str]:
    speed = job_outcome(connection, job)["reviews_per_second"] if job is not None else None
    tiles = {"reviews with an answer": f"{counted.reviews:,}"}
    if counted.reviews:
        tiles |= {one.label: share(one.reviews / counted.reviews) for one in shares[:2]}
    if counted.mean is not None and scope.gives_numbers:
        tiles["mean number"] = f"{counted.mean:.2f}"
    elif counted.reviews:
        tiles["undecided"] = share(counted.undecided / counted.reviews)
    tiles |= {"rows read": f"{done.total:,}", "reused": f"{done.reused:,}", "failed": f"{done.failed:,}"}
    if job is None:
        tiles["jobs"] = f"{done.jobs:,}"
    elif speed:
        tiles["reviews per second"] = short_count(speed) if speed >= 10 else f"{speed:.1f}"
    return tiles


def _verdict(scope: ReportScope, review: ShownReview) -> str:
    """What the model says of a review, in words."""
    if scope.gives_numbers:
        return f"{review.score:.3f}"
    likeliest = sorted(review.probabilities.items(), key=lambda item: -item[1])[:_NAMED_LABELS]
    return ", ".join(f"{label} {share(probability)}" for label, probability in likeliest)
