"""Histograms of what the model said: of probabilities, or of the numbers of a regression."""

from collections.abc import Iterable, Sequence
from math import floor, log10

from sqlalchemy import Connection

from cli.results_report.charts import draw_histogram
from cli.results_report.palette import Palette
from cli.results_report.sections import Chart
from db.report import Bar, Buckets, histogram
from db.report_scope import ReportScope

_BUCKETS = 20
_PROBABILITIES = Buckets(0.0, 1 / _BUCKETS, _BUCKETS)
_PERCENTS = [f"{100 * at // _BUCKETS}–{100 * (at + 1) // _BUCKETS}%" for at in range(_BUCKETS)]


def probability_histograms(connection: Connection, scope: ReportScope, palette: Palette) -> list[Chart]:
    """How many reviews got which probability: of several labels that stand for themselves a chart each."""
    if scope.gives_several:
        bars = histogram(connection, scope, _PROBABILITIES, palette.labels)
        return [_of_label(label, bars, palette) for label in palette.labels]
    labels = scope.model.labels
    # Of two labels one tells the other: a single axis has both, the surest answers at its ends.
    is_pair = len(labels) == 2
    title = f"Probability of {labels[1]}" if is_pair else "Probability of the label given"
    bars = histogram(connection, scope, _PROBABILITIES, labels, mirrored=is_pair)
    heights = {name: _heights(name, bars, palette) for name in palette.names}
    drawing = draw_histogram(
        "probabilities", f"{title}, in reviews", _PERCENTS, heights, list(palette.colours.values())
    )
    return [Chart(title, drawing)]


def number_histogram(connection: Connection, scope: ReportScope, lowest: float, highest: float) -> Chart:
    """How many reviews got which number."""
    buckets = even_buckets(lowest, highest)
    heights = [0] * buckets.count
    for bar in histogram(connection, scope, buckets, scope.model.labels):
        heights[bar.bucket] += bar.reviews
    edges = [f"from {buckets.start + at * buckets.width:.6g}" for at in range(buckets.count)]
    drawing = draw_histogram("numbers", "Reviews by the number given", edges, {"reviews": heights}, ("--first",))
    return Chart("Reviews by the number given", drawing)


def even_buckets(lowest: float, highest: float) -> Buckets:
    """At most some twenty buckets whose edges are round numbers, from the lowest value to beyond the highest."""
    width = _round_up((highest - lowest) / _BUCKETS or max(abs(highest), 1.0) / _BUCKETS)
    start = floor(lowest / width) * width
    return Buckets(start, width, floor((highest - start) / width + 1e-6) + 1)


def _round_up(width: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50 and so on, and 0.1, 0.2, 0.5."""
    power = 10.0 ** floor(log10(width))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * (1 - 1e-9))


def _of_label(label: str, bars: Iterable[Bar], palette: Palette) -> Chart:
    mine = [bar for bar in bars if bar.label == label]
    title = f"Probability of {label}"
    # The number in its place is no name: two labels may differ only in what a name cannot have.
    name = f"probability-{palette.labels.index(label)}"
    heights = {label: _heights(label, mine, palette)}
    return Chart(title, draw_histogram(name, f"{title}, in reviews", _PERCENTS, heights, [palette.colours[label]]))


def _heights(name: str, bars: Iterable[Bar], palette: Palette) -> Sequence[int]:
    heights = [0] * _BUCKETS
    for bar in bars:
        if palette.name_of(bar.label) == name:
            heights[bar.bucket] += bar.reviews
    return heights
