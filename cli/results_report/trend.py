"""How what the model says changes over time, where the reviews have dates."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from sqlalchemy import Connection

from cli.results_report.charts import draw_counts, draw_lines
from cli.results_report.palette import Palette
from cli.results_report.sections import Chart, Section, Table
from cli.results_report.timeline import MOST_PERIODS, Timeline
from db.report import by_day, labels_by_day
from db.report_scope import ReportScope

_TITLE = "Over time"
_MEAN = "Mean number"
#: Of each line a value for each period; None where there are no reviews.
Lines = Mapping[str, Sequence[float | None]]


def trend_section(connection: Connection, scope: ReportScope, column: str, palette: Palette) -> Section:
    """The share of each label, or the mean number, by day, week, month or year."""
    timeline = Timeline(by_day(connection, scope, column))
    if not timeline.periods:
        return Section(_TITLE, f"No review has a date in the column {column!r}: one begins as 2026-11-28 does.")
    lines = _means(timeline) if scope.gives_numbers else _shares(connection, scope, column, timeline, palette)
    form = ".3g" if scope.gives_numbers else ".0%"
    counts = timeline.reviews()
    volume = draw_counts(
        "volume",
        f"Reviews by {timeline.unit}",
        _axis(timeline),
        [counts[period] for period in timeline.periods],
    )
    return Section(
        _TITLE,
        _note(column, timeline),
        charts=[_trend(scope, timeline, lines, palette, form), Chart(f"Reviews by {timeline.unit}", volume)],
        tables=[_table(timeline, lines, counts, form)],
    )


def _means(timeline: Timeline) -> Lines:
    means = timeline.means()
    return {_MEAN: [means.get(period) for period in timeline.periods]}


def _shares(connection: Connection, scope: ReportScope, column: str, timeline: Timeline, palette: Palette) -> Lines:
    counts = timeline.reviews()
    given: Counter[tuple[str, str]] = Counter()
    for (period, label), reviews in timeline.labels(labels_by_day(connection, scope, column)).items():
        given[period, palette.name_of(label)] += reviews
    return {
        name: [given[period, name] / counts[period] if counts[period] else None for period in timeline.periods]
        for name in palette.names
    }


def _trend(scope: ReportScope, timeline: Timeline, lines: Lines, palette: Palette, form: str) -> Chart:
    is_pair = len(lines) == 2 and not scope.gives_several
    # Two labels that exclude one another are mirror images: the second tells of both.
    drawn = dict([*lines.items()][1:]) if is_pair else lines
    what = f"Share of {next(iter(drawn))}" if is_pair else _MEAN if scope.gives_numbers else "Share of the reviews"
    title = f"{what} by {timeline.unit}"
    colours = [palette.colours.get(name, "--first") for name in drawn]
    return Chart(title, draw_lines("trend", title, _axis(timeline), drawn, colours, form))


def _table(timeline: Timeline, lines: Lines, counts: Mapping[str, int], form: str) -> Table:
    rows = [
        (period, f"{counts[period]:,}", *("" if value is None else format(value, form) for value in values))
        for period, *values in zip(timeline.periods, *lines.values(), strict=True)
    ]
    return Table(f"By {timeline.unit}", (timeline.unit.capitalize(), "Reviews", *lines), rows, folded=True)


def _note(column: str, timeline: Timeline) -> str:
    note = f"By the dates in the column {column!r}."
    if timeline.undated:
        note += f" {timeline.undated:,} reviews have none that can be read."
    if timeline.earlier:
        note += f" {timeline.earlier:,} are older than the {MOST_PERIODS} {timeline.unit}s that are shown."
    return note


def _axis(timeline: Timeline) -> list[str]:
    """The periods as an axis has room for them; the table has them whole."""
    if timeline.unit in ("month", "year"):
        return timeline.periods
    return [f"{date.fromisoformat(period):%-d %b}" for period in timeline.periods]
