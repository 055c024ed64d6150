"""The charts of a page on results."""

from collections.abc import Mapping, Sequence

import pygal
from markupsafe import Markup

from cli.pages.charts import REST_COLOUR, draw, new_chart, printable

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
    name: str, said: str, edges: Sequence[str], heights: Mapping[str, Sequence[int]], colours: Sequence[str]
) -> Markup:
    """Bars over the buckets, those of each label on top of one another; `edges` name the buckets."""
    chart = new_chart(pygal.StackedBar, name, colours, show_legend=len(heights) > 1, show_minor_x_labels=False)
    chart.value_formatter = short_count
    chart.x_labels = list(edges)
    chart.x_labels_major = _some(edges)
    for label, counts in heights.items():
        chart.add(_cut(label), counts)
    return draw(chart, said)


def draw_lines(
    name: str,
    said: str,
    periods: Sequence[str],
    lines: Mapping[str, Sequence[float | None]],
    colours: Sequence[str],
    form: str,
) -> Markup:
    """A line for each name over the periods; one has a gap where nothing is known."""
    chart = new_chart(
        pygal.Line,
        name,
        colours,
        show_legend=len(lines) > 1,
        show_dots=len(periods) <= _FEW_POINTS,
        dots_size=3,
        show_minor_x_labels=False,
        allow_interruptions=True,
    )
    chart.value_formatter = lambda value: format(value, form)
    chart.x_labels = list(periods)
    chart.x_labels_major = _some(periods)
    for label, values in lines.items():
        chart.add(_cut(label), values)
    return draw(chart, said)


def draw_counts(name: str, said: str, periods: Sequence[str], counts: Sequence[int]) -> Markup:
    """A bar for each period."""
    chart = new_chart(pygal.Bar, name, (REST_COLOUR,), show_legend=False, show_minor_x_labels=False)
    chart.value_formatter = short_count
    chart.x_labels = list(periods)
    chart.x_labels_major = _some(periods)
    chart.add("reviews", counts)
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


def _height(rows: int) -> int:
    return _ROW * rows + _BELOW


def _cut(label: str) -> str:
    label = printable(label)
    return label if len(label) <= _NAME_CHARS else label[: _NAME_CHARS - 1] + "…"


def _some(names: Sequence[str]) -> list[str]:
    """Some of the names, evenly, with the first and the last among them."""
    if len(names) <= _NAMES_BELOW:
        return list(names)
    gaps = _NAMES_BELOW - 1
    return [names[at * (len(names) - 1) // gaps] for at in range(_NAMES_BELOW)]
