"""The charts of a model version's page."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import pygal
from markupsafe import Markup

from cli.pages.charts import COLOURS, draw, new_chart
from db.training import CurvePoint

#: A training of hours has tens of thousands of points; a chart is not this many pixels wide.
_MOST_POINTS = 400
#: Below this a line is too short to be seen without its dots.
_FEW_POINTS = 20


def draw_curves(curve: Sequence[CurvePoint]) -> dict[str, Markup]:
    """A chart over the steps for each metric, by its name; what was measured on validation beside it."""
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    by_name = sorted(curve, key=lambda point: (point.name, point.step))
    for name, points in groupby(by_name, key=lambda point: point.name):
        where = "validation" if name.startswith("val_") else "training"
        metric = lines.setdefault(name.removeprefix("val_"), {})
        metric[where] = _thinned([(point.step, point.value) for point in points])
    # The loss first: it is what was trained on.
    return {name: _curve(name, lines[name]) for name in sorted(lines, key=lambda name: (name != "loss", name))}


def draw_reliability(bins: Iterable[Mapping[str, float]]) -> Markup:
    """How often answers of a probability are right, beside how often they should be; shares from 0 to 1."""
    chart = _chart("reliability", "probability that the model gives", range=(0, 1), xrange=(0, 1))
    chart.x_value_formatter = chart.value_formatter = lambda share: f"{share:.0%}"
    chart.x_labels = chart.y_labels = [0, 0.25, 0.5, 0.75, 1]
    chart.add("share that is right", [(one["confidence"], one["accuracy"]) for one in bins], dots_size=4)
    perfect = {"stroke_style": {"dasharray": "4, 4"}, "show_dots": False}
    chart.add("as it should be", [(0, 0), (1, 1)], **perfect)
    return draw(chart, "Share of right answers by the probability that the model gives")


def _curve(name: str, lines: Mapping[str, list[tuple[float, float]]]) -> Markup:
    few = max(len(points) for points in lines.values()) <= _FEW_POINTS
    # What was measured on validation alone looks as it does beside the training's, and says what it is.
    colours = COLOURS if "training" in lines else COLOURS[1:]
    legend = {"show_legend": "validation" in lines, "legend_at_bottom_columns": len(lines)}
    chart = _chart(name, "step", colours=colours, show_dots=few, **legend)
    chart.x_value_formatter = lambda step: f"{step:,.0f}"
    chart.value_formatter = lambda value: f"{value:.3g}"
    for where, points in lines.items():
        chart.add(where, points)
    return draw(chart, f"{name} by step")


def _chart(name: str, x_title: str, **config: Any) -> pygal.XY:
    # The lines' names are ours, and short enough to be told whole.
    return new_chart(pygal.XY, name, x_title=x_title, truncate_legend=-1, **config)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Every so many points, and the last one."""
    step = -(-len(points) // _MOST_POINTS)
    return points[:-1:step] + points[-1:]
