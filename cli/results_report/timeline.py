"""Days folded into periods that a chart has room for: days, weeks, months or years."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any

from db.report import LabelledPart, Part

#: A date that begins as ISO 8601 has it; what follows, a time perhaps, does not matter.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
#: Days that are told apart; of more of them only the months are kept, so that memory stays flat whatever is read.
_MOST_DAYS = 2_000
#: Days from the first to the last up to which each unit is taken; beyond, it is the year.
_UNITS = ((45, "day"), (400, "week"), (60 * 31, "month"))
#: A chart has room for so many periods: the latest are shown.
MOST_PERIODS = 66
_PERIOD_OF: dict[str, Callable[[date], str]] = {
    "day": date.isoformat,
    "week": lambda day: (day - timedelta(days=day.weekday())).isoformat(),
    "month": lambda day: day.isoformat()[:7],
    "year": lambda day: day.isoformat()[:4],
}


class Timeline:
    """Reviews by period. `unit` is a day, week, month or year; `undated` reviews have no date that can be read."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.undated = 0
        self._is_coarse = False
        self._reviews: Counter[date] = Counter()
        self._sums: defaultdict[date, float] = defaultdict(float)
        for part in parts:
            self._add(part)
        days = sorted(self._reviews)
        self.unit = _unit(days[0], days[-1], self._is_coarse) if days else "year"
        self.periods = _periods(days, self.unit)
        first = self.periods[0] if days else ""
        self.earlier = sum(count for period, count in self.reviews().items() if period < first)

    def period_of(self, day: date) -> str:
        """The period that a day is in: its first day, the month or the year."""
        return _PERIOD_OF[self.unit](day)

    def reviews(self) -> Counter[str]:
        """How many reviews each period has."""
        return Counter(_folded(self._reviews, self.period_of))

    def means(self) -> dict[str, float]:
        """The mean score of each period that has reviews."""
        sums = _folded(self._sums, self.period_of)
        return {period: sums[period] / count for period, count in self.reviews().items()}

    def labels(self, parts: Iterable[LabelledPart]) -> Counter[tuple[str, str]]:
        """How many reviews of each period got each label."""
        found: Counter[tuple[str, str]] = Counter()
        for part in parts:
            day = read_date(part.of)
            if day is not None:
                found[self.period_of(day), part.label] += part.reviews
        return found

    def _add(self, part: Part) -> None:
        day = read_date(part.of)
        if day is None:
            self.undated += part.reviews
            return
        day = _first_of_month(day) if self._is_coarse else day
        self._reviews[day] += part.reviews
        self._sums[day] += part.reviews * part.mean
        if not self._is_coarse and len(self._reviews) > _MOST_DAYS:
            self._is_coarse = True
            self._reviews = Counter(_folded(self._reviews, _first_of_month))
            self._sums = _folded(self._sums, _first_of_month)


def read_date(text: object) -> date | None:
    """The day that a text begins with, as in 2026-11-28 and 2026-11-28T10:05:00Z; None where it does not."""
    found = _DATE.match(text) if isinstance(text, str) else None
    try:
        return date.fromisoformat(found[0]) if found else None
    except ValueError:
        return None


def _unit(first: date, last: date, is_coarse: bool) -> str:
    days = (last - first).days
    fine = [unit for most, unit in _UNITS if days <= most]
    return next((unit for unit in fine if unit == "month" or not is_coarse), "year")


def _periods(days: list[date], unit: str) -> list[str]:
    """From the first to the last, those without a review too; of more than there is room for, the latest."""
    if not days:
        return []
    first, last = max(days[0].toordinal(), days[-1].toordinal() - MOST_PERIODS * 366), days[-1].toordinal()
    between = (_PERIOD_OF[unit](date.fromordinal(day)) for day in range(first, last + 1))
    return list(dict.fromkeys(between))[-MOST_PERIODS:]


def _first_of_month(day: date) -> date:
    return day.replace(day=1)


def _folded(by_day: Mapping[date, float], into: Callable[[date], Any]) -> defaultdict[Any, Any]:
    """The values of days that fall into the same, added up."""
    folded: defaultdict[Any, Any] = defaultdict(int)
    for day, value in by_day.items():
        folded[into(day)] += value
    return folded
