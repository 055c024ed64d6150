"""When a schedule is due: a cron expression, read in a time zone, right across the changes of its clock."""

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from producer.errors import CronError

_FIELDS = "minute, hour, day of month, month, day of week, as in '0 2 * * *' for 02:00 every day"


@dataclass(frozen=True, slots=True)
class Cron:
    """The times of a cron expression of five fields, with the rules of Debian's cron(8).

    Where the minute and the hour both do not begin with `*`, they name times of the day, and each of those comes once a
    day. One that the clock jumps over, when it is put forward, comes right after the jump. One that the clock shows
    twice, when it is put back, comes the first time.

    All others go by what the clock shows: every hour is every hour, and one that is shown twice comes twice.
    """

    expression: str
    timezone: str

    @classmethod
    def checked(cls, expression: str, timezone: str, now: datetime) -> Self:
        """Raise CronError for what is no cron expression, what no day will ever match, or no IANA time zone."""
        cron = cls(expression, timezone)
        cron.next_after(now)
        return cron

    def next_after(self, moment: datetime) -> datetime:
        """The first time after an aware moment, in UTC. Raises CronError."""
        # Times of the day come as the clock shows them first: in an hour that is shown again, that is in the past.
        times = (time.astimezone(UTC) for time in self._times(moment.astimezone(_zone(self.timezone))))
        coming = next((time for time in times if time > moment), None)
        if coming is None:
            raise CronError(f"the cron {self.expression!r} names a day that never comes")
        return coming

    def _times(self, local: datetime) -> CronSim:
        # A sixth field would be seconds, which cron has not.
        if len(self.expression.split()) != 5:
            raise CronError(f"the cron {self.expression!r} must have five fields: {_FIELDS}")
        try:
            return CronSim(self.expression, local)
        except CronSimError as error:
            # Such as "Bad minute", also for a day that is in none of its months.
            field = str(error).removeprefix("Bad ")
            raise CronError(f"the {field} of the cron {self.expression!r} is wrong; it has {_FIELDS}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise CronError(f"there is no time zone {name!r}{hint}; name one as in Europe/Berlin, or UTC") from error
