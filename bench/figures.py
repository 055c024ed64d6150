"""The arithmetic of the tables: medians, ratios round by round, and their spread."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the smallest and largest that it is of."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}-{_short(self.high)})"


def spread(values: Sequence[float]) -> Spread:
    """The median of the rounds. Raises StatisticsError where there is none."""
    return Spread(median(values), min(values), max(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours over theirs, round by round: what slowed a machine down in one round slowed both."""
    return spread([a / b for a, b in zip(ours, theirs, strict=True)])


def padding_share(tokens: int, batch_tokens: int) -> float:
    """The share of batches that is padding."""
    return 1 - tokens / batch_tokens if batch_tokens else 0.0


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
