"""How right the version is, week by week, by what people said of its answers."""

from sqlalchemy import Connection

from cli.output import counted
from cli.results_report.charts import draw_lines
from cli.results_report.sections import Chart, Section, Table
from cli.results_report.timeline import MOST_PERIODS
from db.accuracy import Accuracy, accuracy
from db.report_scope import ReportScope

_TITLE = "By people's corrections"


def corrections_section(connection: Connection, scope: ReportScope) -> Section | None:
    """Accuracy, or the mean error of a number, by the week in which people looked; None where nobody has.

    It is of all that the version was corrected on, whichever job scored it.
    """
    model_ids = [scope.model.id]
    weeks = [one for one in accuracy(connection, model_ids, by_week=True) if one.reviews]
    if not weeks:
        return None
    (ever,) = accuracy(connection, model_ids)
    shown = weeks[-MOST_PERIODS:]
    what = "Mean error" if scope.gives_numbers else "Accuracy"
    lines = {what: [_figure(one, scope) for one in shown]}
    axis = [f"{one.week:%-d %b}" for one in shown]
    form, bounds = (".3g", None) if scope.gives_numbers else (".0%", (0.0, 1.0))
    drawing = draw_lines("corrections", f"{what} by week", axis, lines, ["--first"], form, bounds)
    return Section(
        _TITLE,
        _note(ever, scope),
        charts=[Chart(f"{what} by week", drawing)],
        tables=[_table(weeks, scope, what)],
    )


def _figure(one: Accuracy, scope: ReportScope) -> float | None:
    return one.mean_error if scope.gives_numbers else one.share


def _note(ever: Accuracy, scope: ReportScope) -> str:
    looked = f"People looked at {counted(ever.reviews, 'review')}"
    if scope.gives_numbers:
        return f"{looked} of {ever.model}; it was wrong by {ever.mean_error:.3g} on average."
    return f"{looked} of {ever.model}; it was right on {ever.right:,} of them, {ever.share:.1%}."


def _table(weeks: list[Accuracy], scope: ReportScope, what: str) -> Table:
    form = ".3g" if scope.gives_numbers else ".1%"
    rows = [
        (
            f"{one.week}",
            f"{one.reviews:,}",
            *(() if one.right is None else (f"{one.right:,}",)),
            format(_figure(one, scope) or 0.0, form),
        )
        for one in weeks
    ]
    columns = ("Week of", "Reviews", *(() if scope.gives_numbers else ("Right",)), what)
    return Table("By week", columns, rows, folded=True)
