"""Whether the clocks of this machine, of the database and of Redis agree.

Leases and schedules go by the database's clock alone; what goes wrong by a wrong clock here are signatures of
notifications, times in logs, and people's trust in any of them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf

from broker.errors import BrokerError
from broker.health import examine_redis
from cli.checks.finding import Finding, ok, warning, wrong
from cli.checks.patient import Patient
from db.health import clock_difference

NAME = "clocks"
#: Seconds: more than a network takes to set clocks by; and what receivers of notifications no longer bear with.
_LARGE_S, _TOO_LARGE_S = 2.0, 60.0


def check(patient: Patient) -> Iterator[Finding]:
    """Compare them. A SQLite file and an embedded Redis have this machine's."""
    ahead = {}
    if patient.database is not None and not patient.database.is_sqlite:
        difference = clock_difference(patient.database)
        ahead["the database"] = (difference.ahead_s, difference.error_s)
    if patient.app is not None and not patient.broker.is_embedded:
        try:
            state = examine_redis(patient.app)
        except BrokerError as error:
            yield wrong(NAME, str(error), "see what is said of redis")
        else:
            if state.clock_error_s < inf:
                ahead["Redis"] = (state.clock_ahead_s, state.clock_error_s)
    found = [_compare(who, *one) for who, one in ahead.items() if abs(one[0]) > _LARGE_S + one[1]]
    yield from found
    if not found:
        others = f", as is that of {' and of '.join(ahead)}" if ahead else ""
        yield ok(NAME, f"this machine's clock is at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC{others}")


def _compare(who: str, ahead_s: float, _error_s: float) -> Finding:
    direction = "ahead of" if ahead_s > 0 else "behind"
    say = wrong if abs(ahead_s) > _TOO_LARGE_S else warning
    return say(
        NAME,
        f"the clock of {who} is {abs(ahead_s):,.0f} s {direction} this machine's",
        "set both by the network: chrony or systemd-timesyncd; timedatectl says whether that works",
    )
