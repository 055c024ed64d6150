"""Values over time, and whether they grow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

#: A process that has just started loads libraries and models: what comes before counts for nothing.
#: Allocators and caches of shapes fill more and more slowly, so of a long life a quarter is warm-up.
_WARM_UP_S, _WARM_UP_SHARE = 120.0, 0.25
#: Less than this after the warm-up tells nothing.
_SHORTEST_S = 60.0


@dataclass(slots=True)
class Series:
    """Values by the seconds since the soak began."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, at_s: float, value: float) -> None:
        """One more, later than all before."""
        self.times.append(at_s)
        self.values.append(value)

    def thinned(self) -> list[tuple[float, float]]:
        """Every tenth value with its time, rounded, for the record."""
        return [(round(at_s), round(value, 1)) for at_s, value in zip(self.times, self.values, strict=True)][::10]


@dataclass(frozen=True, slots=True)
class Growth:
    """From `first` to `last`, the medians of the first and the last quarter after the warm-up, in `minutes`."""

    first: float
    last: float
    minutes: float

    @property
    def amount(self) -> float:
        """How much more it is in the end."""
        return self.last - self.first


def growth_of(series: Series) -> Growth | None:
    """How much a series grew after its warm-up; None where it is too short to say."""
    if not series.times:
        return None
    begin, end = series.times[0], series.times[-1]
    warm_at = begin + max(_WARM_UP_S, (end - begin) * _WARM_UP_SHARE)
    if end - warm_at < _SHORTEST_S:
        return None
    quarter_s = (end - warm_at) / 4
    first = _between(series, warm_at, warm_at + quarter_s)
    last = _between(series, end - quarter_s, end)
    return Growth(median(first), median(last), (end - warm_at) / 60)


def _between(series: Series, low: float, high: float) -> Sequence[float]:
    return [value for at_s, value in zip(series.times, series.values, strict=True) if low <= at_s <= high]
