"""Ages as people write them: 90d, 12h, 4w, or the date since when."""

import re
from datetime import UTC, datetime, timedelta

import click
from sqlalchemy import Connection

from db.clock import database_time

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORMS = "as in 90d, 12h, 30m or 4w, or a date as 2026-01-31 or 2026-01-31T18:00"


class Age(click.ParamType):
    """How long ago, a timedelta, or since when, an aware time in UTC; a time without a zone is a local one."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | datetime:
        """Read it; what cannot be read, or lies ahead, is one line."""
        if isinstance(value, timedelta | datetime):
            return value
        age = _read(str(value).strip())
        if age is None:
            self.fail(f"{value!r} is no age; write it {_FORMS}", param, ctx)
        if isinstance(age, datetime) and age > datetime.now(UTC):
            self.fail(f"{value!r} lies ahead; write how old, {_FORMS}", param, ctx)
        return age


def moment_of(connection: Connection, age: timedelta | datetime) -> datetime:
    """The moment that was so long ago by the database's clock, by which everything there is dated."""
    return age if isinstance(age, datetime) else database_time(connection) - age


def _read(written: str) -> timedelta | datetime | None:
    try:
        # Five digits: as far back as dates go, even in weeks.
        if age := re.fullmatch(r"([0-9]{1,5})([mhdw])", written, re.ASCII):
            return timedelta(**{_UNITS[age[2]]: int(age[1])})
        return datetime.fromisoformat(written).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
