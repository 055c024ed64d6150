"""What a soak is held to, and its table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from rich.table import Table

from tests.soak.series import Series, growth_of

#: What memory may grow after the warm-up, in MiB or as a share of what it was, whichever is more. Allocators take a
#: while to have all the blocks that they need; a leak of a few kilobytes a batch goes beyond it within minutes.
_MEMORY_MIB, _MEMORY_SHARE = 12.0, 0.03
#: What a series of Redis may grow: lists come and go as queues are empty or not, and so do commands' connections.
_REDIS = {"keys": 4.0, "MiB": 0.5, "clients": 6.0}
_CONNECTIONS = 6.0


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the table: what was, what it became, and what was allowed; None where nothing is."""

    name: str
    first: float | None
    last: float
    allowed: float | None = None
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether it kept within what is allowed."""
        return self.allowed is None or self.last - (self.first or 0.0) <= self.allowed


def of_memory(series: Mapping[str, Series]) -> Iterator[Measure]:
    """A line for each process that lived long enough; of the workers one must have."""
    told = 0
    for name, values in series.items():
        if growth := growth_of(values):
            told += name.startswith("worker")
            allowed = max(_MEMORY_MIB, growth.first * _MEMORY_SHARE)
            yield Measure(
                f"own memory of {name}, over {growth.minutes:.1f} min", growth.first, growth.last, allowed, "MiB"
            )
    yield Measure("workers' processes too young to tell", None, float(not told), 0.0)


def of_redis(series: Mapping[str, Series]) -> Iterator[Measure]:
    """Keys, memory and connections."""
    for name, allowed in _REDIS.items():
        yield from _of_growth(f"Redis: {name}", series[name], allowed)


def of_connections(series: Series) -> Iterator[Measure]:
    """Connections of the database."""
    yield from _of_growth("database connections", series, _CONNECTIONS)


def of_latencies(name: str, seconds: Sequence[float]) -> Iterator[Measure]:
    """Median, 95th percentile and worst; nothing is asked of them."""
    if len(seconds) > 1:
        yield Measure(f"{name}: median of {len(seconds)}", None, median(seconds), unit="s")
        yield Measure(f"{name}: 95th percentile", None, quantiles(seconds, n=20, method="inclusive")[-1], unit="s")
        yield Measure(f"{name}: worst", None, max(seconds), unit="s")


def table_of(measures: Iterable[Measure], title: str) -> Table:
    """The table for people."""
    table = Table("", "first", "last", "may grow", "", title=title)
    for one in measures:
        figures = [_shown(value, one.unit) for value in (one.first, one.last, one.allowed)]
        table.add_row(one.name, *figures, "" if one.allowed is None else "ok" if one.holds else "MISSED")
    return table


def _of_growth(name: str, series: Series, allowed: float) -> Iterator[Measure]:
    if growth := growth_of(series):
        yield Measure(name, growth.first, growth.last, allowed)


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:,.1f} {unit}".strip()
