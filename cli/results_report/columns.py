"""Which of the columns that are kept beside reviews a page tells of, where nobody said."""

from collections.abc import Sequence
from typing import Any

from cli.results_report.timeline import read_date

#: Reviews that are looked at.
SAMPLE = 400
#: A column is one of dates where so many of its values are, and worth a breakdown with so many different ones.
_DATES = 0.8
_FEWEST_VALUES, _MOST_VALUES = 2, 20
_MOST_BREAKDOWNS = 3
#: What stands in a breakdown's place for a value that is longer is cut, so long ones are texts rather than kinds.
_VALUE_CHARS = 40


def guess_date(sample: Sequence[dict[str, Any]]) -> str | None:
    """The first column, by name, that holds dates: those with a date's name before others."""
    found = [name for name, values in _columns(sample).items() if _share_of_dates(values) >= _DATES]
    return min(found, key=lambda name: ("date" not in name.casefold(), name), default=None)


def guess_breakdowns(sample: Sequence[dict[str, Any]], date_column: str | None) -> list[str]:
    """The columns with few different values, those with the fewest first."""
    kinds: dict[str, int] = {}
    for name, values in _columns(sample).items():
        different = set(map(str, values))
        # In a small sample every column has few values; one that tells reviews apart has hardly any twice.
        is_kind = _FEWEST_VALUES <= len(different) <= min(_MOST_VALUES, len(values) // 2)
        if name != date_column and is_kind and max(map(len, different)) <= _VALUE_CHARS:
            kinds[name] = len(different)
    return sorted(kinds, key=lambda name: (kinds[name], name))[:_MOST_BREAKDOWNS]


def _columns(sample: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """The values that stand in each column, by its name and in order of it."""
    names = sorted({name for kept in sample for name in kept})
    return {name: [kept[name] for kept in sample if kept.get(name) not in (None, "")] for name in names}


def _share_of_dates(values: Sequence[Any]) -> float:
    return sum(read_date(value) is not None for value in values) / len(values) if values else 0.0
