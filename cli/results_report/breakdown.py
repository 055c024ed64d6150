"""What the model says by the values of a column that is kept beside the reviews."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection

from cli.output import share
from cli.results_report.charts import draw_bars, draw_shares
from cli.results_report.palette import Palette
from cli.results_report.sections import Chart, Section, Table
from db.dialect import is_number
from db.report import Part, Totals, by_value, labels_by_value
from db.report_scope import ReportScope

#: A bar each.
_MOST_VALUES = 15
_NO_VALUE = "(none)"


def breakdown_section(
    connection: Connection, scope: ReportScope, column: str, palette: Palette, totals: Totals, number: int
) -> Section:
    """The share of each label, or the mean number, for each of the most frequent values; the page's `number`th."""
    parts = _in_order(by_value(connection, scope, column, _MOST_VALUES))
    rest = totals.reviews - sum(part.reviews for part in parts)
    note = f"The {_MOST_VALUES} most frequent values; {rest:,} reviews have others." if rest else ""
    title, name = f"By {column}", f"breakdown-{number}"
    if scope.gives_numbers:
        chart, columns, rows = _means(parts, title, name)
    else:
        chart, columns, rows = _shares(connection, scope, column, parts, palette, name)
    return Section(title, note, charts=[chart], tables=[Table(title, columns, rows)])


def _means(parts: Sequence[Part], title: str, name: str) -> tuple[Chart, Sequence[str], Sequence[Sequence[str]]]:
    means = {_shown(part.of): part.mean for part in parts}
    drawing = draw_bars(name, f"Mean number {title.lower()}", means, ["--first"] * len(means), ".3g")
    rows = [(_shown(part.of), f"{part.reviews:,}", f"{part.mean:.3f}") for part in parts]
    return Chart("Mean number", drawing), ("Value", "Reviews", "Mean number"), rows


def _shares(
    connection: Connection, scope: ReportScope, column: str, parts: Sequence[Part], palette: Palette, name: str
) -> tuple[Chart, Sequence[str], Sequence[Sequence[str]]]:
    given: Counter[tuple[str | None, str]] = Counter()
    for one in labels_by_value(connection, scope, column, [part.of for part in parts]):
        given[one.of, palette.name_of(one.label)] += one.reviews
    shares = {label: [given[part.of, label] / part.reviews for part in parts] for label in palette.names}
    values = [_shown(part.of) for part in parts]
    title, colours = "Share of the reviews", list(palette.colours.values())
    if scope.gives_several:
        # They do not add up to a whole bar, so that each has a bar of its own in the table only.
        chart = Chart(
            "Reviews", draw_bars(name, f"Reviews by {column}", _counts(parts), ["--first"] * len(parts), ",.0f")
        )
    else:
        chart = Chart(title, draw_shares(name, f"{title} by {column}", values, shares, colours))
    rows = [
        (_shown(part.of), f"{part.reviews:,}", *(share(shares[label][at]) for label in palette.names))
        for at, part in enumerate(parts)
    ]
    return chart, ("Value", "Reviews", *palette.names), rows


def _in_order(parts: Sequence[Part]) -> Sequence[Part]:
    """By number where every value is one, as of stars; else as they come, the most frequent first."""
    if all(is_number(part.of or "") for part in parts):
        return sorted(parts, key=lambda part: float(part.of or ""))
    return parts


def _counts(parts: Sequence[Part]) -> dict[str, float]:
    return {_shown(part.of): part.reviews for part in parts}


def _shown(value: str | None) -> str:
    return _NO_VALUE if value is None else value or '""'
