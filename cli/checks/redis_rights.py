"""What the Redis user of the settings may do: ring for work, and work."""

from collections.abc import Iterator

from broker.errors import BrokerError
from broker.rights import RINGING, WORKING, refused_commands
from cli.checks.finding import Finding, ok, wrong
from cli.checks.patient import Patient

NAME = "redis rights"


def check(patient: Patient) -> Iterator[Finding]:
    """Have Redis say of each command whether it would take it; none is carried out."""
    if patient.app is None:
        return
    try:
        ringing, working = (refused_commands(patient.app, commands) for commands in (RINGING, WORKING))
    except BrokerError as error:
        yield wrong(NAME, str(error), "give the user the category @transaction, or look at its rights with ACL GETUSER")
        return
    if ringing is None or working is None:
        # So it is with the users that we ship: to ask takes a right that no work takes.
        yield ok(NAME, "its user may not be asked what it may do; ring for a job to see it")
    elif ringing:
        yield wrong(
            NAME,
            f"its user may not enqueue: {', '.join(ringing)} refused",
            "give it these commands on ~reviewmill:*, or name another user in REVIEWMILL_REDIS_URL",
        )
    elif working:
        yield ok(NAME, f"its user may enqueue, and not work ({', '.join(working)} refused), as a producer's")
    else:
        yield ok(NAME, "its user may enqueue and work")
