"""The charts of a page on results."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pygal
from markupsafe import Markup

from cli.pages.charts import REST_COLOUR, Chart, draw, new_chart, printable

#: Names beside bars and lines are cut to so many characters; the tables have them whole.
_NAME_CHARS = 16
#: In units of the drawing: a bar with the space around it, and the axis and legend below all bars.
_ROW, _BELOW = 30, 54
#: Above so many points their dots run together.
_FEW_POINTS = 40
#: Names below an axis, beyond which they would run into one another.
_NAMES_BELOW = 5


def draw_bars(name: str, said: str, values: Mapping[str, float], colours: Sequence[str], form: str) -> Markup:
    """A bar for each name, the first on top; `form` is how Python writes its value, which stands beside the name."""
    chart = new_chart(
        pygal.HorizontalBar,
        name,
        height=_height(len(values)) - 20,
        show_legend=False,
        show_x_labels=False,
        show_x_guides=False,
        margin_bottom=0,
        zero=0,
    )
    chart.value_formatter = lambda value: format(value, form)
    chart.x_labels = [f"{_cut(one)}  {format(value, form)}" for one, value in values.items()][::-1]
    bars = [{"value": value, "color": f"var({colour})"} for value, colour in zip(values.values(), colours, strict=True)]
    chart.add("", bars[::-1])
    return draw(chart, said)


def draw_histogram(
    name: str, said: str, buckets: Sequence[str], heights: Mapping[str, Sequence[int]], colours: Sequence[str]
) -> Markup:
    """Bars over the buckets, those of each label on top of one another."""
    chart = _upright(pygal.StackedBar, name, buckets, heights, colours)
    chart.value_formatter = short_count
    return draw(chart, said)


def draw_lines(
    name: str,
    said: str,
    periods: Sequence[str],
    lines: Mapping[str, Sequence[float | None]],
    colours: Sequence[str],
    form: str,
    bounds: tuple[float, float] | None = None,
) -> Markup:
    """A line for each name over the periods; one has a gap where nothing is known.

    The axis goes from what is lowest to what is highest, or as `bounds` says.
    """
    looks = {"show_dots": len(periods) <= _FEW_POINTS, "dots_size": 3, "allow_interruptions": True}
    chart = _upright(pygal.Line, name, periods, lines, colours, range=bounds, **looks)
    chart.value_formatter = lambda value: format(value, form)
    return draw(chart, said)


def draw_counts(name: str, said: str, periods: Sequence[str], counts: Sequence[int]) -> Markup:
    """A bar for each period."""
    chart = _upright(pygal.Bar, name, periods, {"reviews": counts}, (REST_COLOUR,))
    chart.value_formatter = short_count
    return draw(chart, said)


def draw_shares(
    name: str, said: str, rows: Sequence[str], shares: Mapping[str, Sequence[float]], colours: Sequence[str]
) -> Markup:
    """A bar for each row, the first on top, in which each label has its share; shares from 0 to 1."""
    chart = new_chart(
        pygal.HorizontalStackedBar,
        name,
        colours,
        height=_height(len(rows)) + 24 * ((len(shares) + 1) // 2),
        range=(0, 1),
    )
    chart.value_formatter = lambda share: f"{share:.0%}"
    chart.y_labels = [0, 0.25, 0.5, 0.75, 1]
    chart.x_labels = [_cut(row) for row in reversed(rows)]
    for label, values in shares.items():
        chart.add(_cut(label), values[::-1])
    return draw(chart, said)


def short_count(count: float) -> str:
    """As in `840`, `12k` and `3.4M`."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return f"{count:.0f}"


def _upright(
    kind: Callable[..., Chart],
    name: str,
    below: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    colours: Sequence[str],
    **config: Any,
) -> Chart:
    """A chart over an axis of names, of which those are written that there is room for."""
    has_legend = len(series) > 1
    margin = 24 if has_legend else 2
    chart = new_chart(
        kind, name, colours, show_legend=has_legend, margin_bottom=margin, show_minor_x_labels=False, **config
    )
    chart.x_labels = list(below)
    chart.x_labels_major = list(below[:: -(-len(below) // _NAMES_BELOW)])
    for label, values in series.items():
        chart.add(_cut(label), values)
    return chart


def _height(rows: int) -> int:
    return _ROW * rows + _BELOW


def _cut(label: str) -> str:
    label = printable(label)
    return label if len(label) <= _NAME_CHARS else label[: _NAME_CHARS - 1] + "…"
