"""Times of schedules across both changes of the clock.

The instants below were worked out by hand from the rules of the zones, in UTC. Europe/Berlin goes from UTC+1 to UTC+2
on 29 March 2026 at 01:00 UTC (02:00 becomes 03:00), and back on 25 October at 01:00 UTC (03:00 becomes 02:00).
America/New_York goes from UTC-5 to UTC-4 on 8 March at 07:00 UTC, and back on 1 November at 06:00 UTC.
"""

from datetime import UTC, datetime, timedelta

import pytest

from producer.cron import Cron
from producer.errors import CronError

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def following(cron: str, timezone: str, start: str, count: int) -> list[str]:
    """The next times, each asked for at the instant of the one before, as a beat does."""
    moment, times = utc(start), []
    for _ in range(count):
        moment = Cron(cron, timezone).next_after(moment)
        times.append(moment.strftime("%m-%d %H:%M"))
    return times


@pytest.mark.parametrize(
    ("cron", "timezone", "start", "times"),
    [
        # 02:30 is jumped over: right after the jump instead, once.
        ("30 2 * * *", BERLIN, "2026-03-27 12:00", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        ("30 2 * * *", NEW_YORK, "2026-03-06 12:00", ["03-07 07:30", "03-08 07:00", "03-09 06:30"]),
        # 02:30, and in New York 01:30, are shown twice: the first one, once.
        ("30 2 * * *", BERLIN, "2026-10-23 12:00", ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
        ("30 1 * * *", NEW_YORK, "2026-10-30 12:00", ["10-31 05:30", "11-01 05:30", "11-02 06:30"]),
        # Times that are neither jumped over nor shown twice keep their place on the clock.
        ("0 6 * * *", BERLIN, "2026-03-28 12:00", ["03-29 04:00", "03-30 04:00"]),
        ("0 6 * * *", NEW_YORK, "2026-10-31 12:00", ["11-01 11:00", "11-02 11:00"]),
        # Both a time in the gap and the one right after it: not twice at the same instant.
        ("0 2,3 * * *", BERLIN, "2026-03-28 12:00", ["03-29 01:00", "03-30 00:00", "03-30 01:00"]),
        ("0,30 2 * * *", BERLIN, "2026-03-28 12:00", ["03-29 01:00", "03-30 00:00", "03-30 00:30"]),
        # Every hour: no hour less, and both hours that the clock calls 2, or 1.
        ("0 * * * *", BERLIN, "2026-03-28 23:30", ["03-29 00:00", "03-29 01:00", "03-29 02:00"]),
        ("0 * * * *", BERLIN, "2026-10-24 23:30", ["10-25 00:00", "10-25 01:00", "10-25 02:00"]),
        ("0 * * * *", NEW_YORK, "2026-03-08 05:30", ["03-08 06:00", "03-08 07:00", "03-08 08:00"]),
        ("0 * * * *", NEW_YORK, "2026-11-01 04:30", ["11-01 05:00", "11-01 06:00", "11-01 07:00"]),
        ("*/30 2 * * *", BERLIN, "2026-10-24 23:30", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        # Sundays only, on the Sunday of the jump.
        ("30 2 * * 0", BERLIN, "2026-03-24 12:00", ["03-29 01:00", "04-05 00:30"]),
        # Without daylight saving nothing happens.
        ("30 2 * * *", "UTC", "2026-03-28 12:00", ["03-29 02:30", "03-30 02:30"]),
        ("30 2 * * *", "Asia/Kolkata", "2026-03-28 12:00", ["03-28 21:00", "03-29 21:00"]),
    ],
)
def test_times_across_the_changes_of_the_clock(cron: str, timezone: str, start: str, times: list[str]) -> None:
    assert following(cron, timezone, start, len(times)) == times


@pytest.mark.parametrize(
    ("timezone", "asked", "coming"),
    [
        # The clock shows 02:15 for the second time; 02:30 has been today.
        (BERLIN, "2026-10-25 01:15", "2026-10-26 01:30"),
        (BERLIN, "2026-10-25 00:15", "2026-10-25 00:30"),
        # Between the jump and the time on the clock that 02:30 would have been.
        (BERLIN, "2026-03-29 01:15", "2026-03-30 00:30"),
    ],
)
def test_a_time_that_has_been_is_not_given_again(timezone: str, asked: str, coming: str) -> None:
    assert Cron("30 2 * * *", timezone).next_after(utc(asked)) == utc(coming)


def test_a_clock_frozen_at_any_minute_of_a_change_finds_a_daily_time_once() -> None:
    for start, jump in (("2026-03-28 12:00", "2026-03-29 01:00"), ("2026-10-24 12:00", "2026-10-25 00:30")):
        times = {Cron("30 2 * * *", BERLIN).next_after(utc(start) + timedelta(minutes=m)) for m in range(24 * 60)}
        assert {time for time in times if time < utc(start) + timedelta(hours=24)} == {utc(jump)}


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 2 * *", "five fields"),
        ("0 0 2 * * *", "five fields"),
        ("61 2 * * *", "the minute of the cron '61 2"),
        ("0 2 * * mo", "the day-of-week of"),
        ("@daily", "five fields"),
        ("0 2 31 2 *", "the day-of-month of"),
        ("0 0 */30 2 1#5", "never comes"),
    ],
)
def test_what_is_no_cron_is_refused_in_a_line(cron: str, said: str) -> None:
    with pytest.raises(CronError, match=said) as refused:
        Cron.checked(cron, "UTC", NOW)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("timezone", ["Europe/Berlln", "", "../etc/passwd", "Europe"])
def test_what_is_no_time_zone_is_refused_in_a_line(timezone: str) -> None:
    with pytest.raises(CronError, match="there is no time zone"):
        Cron.checked("0 2 * * *", timezone, NOW)


def test_a_time_zone_with_a_slip_of_the_pen_is_guessed() -> None:
    with pytest.raises(CronError, match=r"did you mean Europe/Berlin\?"):
        Cron.checked("0 2 * * *", "Europe/Berlln", NOW)
