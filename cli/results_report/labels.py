"""What the model says: how often which label, and how surely; or which numbers."""

from collections.abc import Sequence
from math import sqrt

from sqlalchemy import Connection

from cli.output import share
from cli.results_report.charts import draw_bars
from cli.results_report.histograms import number_histogram, probability_histograms
from cli.results_report.palette import Palette
from cli.results_report.sections import Chart, Section, Table
from db.report import LabelShare, Totals
from db.report_scope import ReportScope

_TITLE = "What it says"
#: Rows of the table; a model may have thousands of labels.
_TABLE_LABELS = 50


def answers_section(
    connection: Connection, scope: ReportScope, totals: Totals, shares: Sequence[LabelShare], palette: Palette
) -> Section:
    """How often each label was given and how surely, or how the numbers of a regression are spread."""
    if scope.gives_numbers:
        return _numbers(connection, scope, totals)
    drawing = draw_bars(
        "shares",
        "Share of the reviews by label",
        _shares(shares, palette, totals),
        list(palette.colours.values()),
        ".1%",
    )
    rows = [(one.label, f"{one.reviews:,}", share(one.reviews / totals.reviews), share(one.mean)) for one in shares]
    return Section(
        _TITLE,
        _note(scope, totals),
        charts=[
            Chart("Share of the reviews", drawing),
            *probability_histograms(connection, scope, palette),
        ],
        tables=[Table("Labels", ("Label", "Reviews", "Share", "Mean probability"), rows[:_TABLE_LABELS])],
    )


def _numbers(connection: Connection, scope: ReportScope, totals: Totals) -> Section:
    assert None not in (totals.mean, totals.mean_square, totals.lowest, totals.highest)
    mean, mean_square, lowest, highest = totals.mean, totals.mean_square, totals.lowest, totals.highest
    facts = {
        "Mean": mean,
        "Standard deviation": sqrt(max(0.0, mean_square - mean**2)),  # type: ignore[operator]
        "Lowest": lowest,
        "Highest": highest,
    }
    return Section(
        _TITLE,
        facts={name: f"{number:.3f}" for name, number in facts.items()},
        charts=[number_histogram(connection, scope, lowest, highest)],  # type: ignore[arg-type]
    )


def _note(scope: ReportScope, totals: Totals) -> str:
    undecided = f"It is undecided on {totals.undecided:,} ({share(totals.undecided / totals.reviews)}), where"
    if scope.gives_several:
        return (
            "A review may have several labels or none: one counts where its probability is a half or more. "
            f"{totals.unlabelled:,} have none. {undecided} some label is between 40% and 60%."
        )
    return f"{undecided} the two likeliest labels are less than 20 points apart."


def _shares(shares: Sequence[LabelShare], palette: Palette, totals: Totals) -> dict[str, float]:
    found = dict.fromkeys(palette.names, 0.0)
    for one in shares:
        if palette.name_of(one.label) in found:
            found[palette.name_of(one.label)] += one.reviews / totals.reviews
    return found
