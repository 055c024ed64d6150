"""Days are folded into periods that a chart has room for, in memory that does not grow with what is read."""

from datetime import date, timedelta

import pytest

from cli.results_report.columns import guess_breakdowns, guess_date
from cli.results_report.timeline import MOST_PERIODS, Timeline, read_date
from db.report import LabelledPart, Part


def timeline(*days: str | None) -> Timeline:
    return Timeline(Part(day, 1, 0.5) for day in days)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-28", date(2026, 11, 28)),
        ("2026-11-28T10:05:00+01:00", date(2026, 11, 28)),
        ("2026-11-28 10:05", date(2026, 11, 28)),
        ("2026-02-30", None),
        ("0000-00-00", None),
        ("28.11.2026", None),
        ("soon", None),
        ("", None),
        (1_764_324_300, None),
        (None, None),
    ],
)
def test_a_date_begins_as_iso_8601_has_it(text: object, day: date | None) -> None:
    assert read_date(text) == day


@pytest.mark.parametrize(
    ("last", "unit", "periods"),
    [
        ("2026-01-01", "day", 1),
        ("2026-02-15", "day", 46),
        ("2026-02-16", "week", 8),
        ("2027-02-05", "week", 58),
        ("2027-02-06", "month", 14),
        ("2031-01-31", "month", 61),
        ("2031-02-10", "year", 6),
        ("2126-01-01", "year", MOST_PERIODS),
    ],
)
def test_the_unit_fits_the_time_from_first_to_last(last: str, unit: str, periods: int) -> None:
    found = timeline("2026-01-01", last)
    assert (found.unit, len(found.periods)) == (unit, periods)
    assert found.periods[-1] == found.period_of(date.fromisoformat(last))
    assert found.earlier == (1 if last == "2126-01-01" else 0)


def test_weeks_begin_on_mondays_and_empty_ones_are_there() -> None:
    found = timeline("2026-01-01", "2026-01-04", "2026-03-02")
    assert found.periods[:2] == ["2025-12-29", "2026-01-05"]
    assert found.periods[-1] == "2026-03-02"
    assert (found.reviews()["2025-12-29"], found.reviews()["2026-01-05"]) == (2, 0)


def test_reviews_means_and_labels_are_added_up() -> None:
    found = Timeline(
        [Part("2026-01-05", 3, 1.0), Part("2026-01-05T08", 1, 5.0), Part("soon", 2, 9.0), Part(None, 4, 9.0)]
    )
    assert found.reviews() == {"2026-01-05": 4}
    assert found.means() == {"2026-01-05": 2.0}
    assert found.undated == 6
    parts = [LabelledPart("2026-01-05", "bad", 1), LabelledPart("2026-01-05T0", "bad", 2), LabelledPart(None, "bad", 9)]
    assert found.labels(parts) == {("2026-01-05", "bad"): 3}


def test_days_by_the_ten_thousand_are_kept_as_months() -> None:
    first = date(1990, 1, 1)
    found = Timeline(Part((first + timedelta(days=at)).isoformat(), 1, 0.5) for at in range(13_000))
    assert len(found._reviews) < 2_000
    assert sum(found.reviews().values()) == 13_000
    assert (found.unit, found.periods[0], found.reviews()["1992"]) == ("year", "1990", 366)


def test_no_dates_make_no_periods() -> None:
    assert timeline("soon", None).periods == []
    assert timeline().periods == []


def test_columns_are_guessed_by_what_stands_in_them() -> None:
    sample = [
        {
            "shop": f"shop {at % 3}",
            "verified": at % 2 == 0,
            "posted": f"2026-11-{at % 28 + 1:02}",
            "order": f"order {at}",
            "one": "same",
            "words": f"{'long ' * 20}{at % 2}",
            "none": None,
        }
        for at in range(60)
    ]
    assert guess_date(sample) == "posted"
    assert guess_breakdowns(sample, "posted") == ["verified", "shop"]
    assert guess_date([{**one, "a": one["posted"], "the_date": one["posted"]} for one in sample]) == "the_date"
    assert guess_date([{"shop": "north"}, {}]) is None
    assert guess_breakdowns([{"shop": "a"}, {"shop": "b"}], None) == []
    assert guess_breakdowns([], None) == []
