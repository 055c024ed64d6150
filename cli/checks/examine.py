"""All checks, one after another; one that breaks is a finding itself, and keeps no other from being made."""

from collections.abc import Callable, Iterator

from cli.checks import (
    clocks,
    database,
    disk,
    libraries,
    machine,
    models,
    postgresql,
    redis,
    redis_rights,
    settings,
    sqlite,
    stuck,
    versions,
    workers,
)
from cli.checks.finding import Finding, wrong
from cli.checks.patient import Patient

Check = Callable[[Patient], Iterator[Finding]]

#: In this order: those after `database` and `redis` ask what these have opened.
CHECKS: dict[str, Check] = {
    "unknown settings": settings.check_known,
    "settings": settings.check_together,
    "versions": versions.check,
    "libraries": libraries.check,
    "devices": machine.check_devices,
    "memory": machine.check_memory,
    "disk": disk.check,
    "redis": redis.check,
    "redis rights": redis_rights.check,
    "database": database.check,
    "sqlite": sqlite.check,
    "postgresql": postgresql.check,
    "clocks": clocks.check,
    "models": models.check,
    "workers": workers.check,
    "work": stuck.check,
}


def examine(patient: Patient) -> Iterator[Finding]:
    """What every check finds, as it is found."""
    for name, check in CHECKS.items():
        patient.say(name)
        try:
            yield from check(patient)
        except Exception as error:
            # Whatever it is, the others are still to be told. It may hold a secret: only its kind is said.
            what = f"the check itself failed: {type(error).__name__}"
            yield wrong(name, what, "see what else is wrong; if this stays, tell the makers of Reviewmill")
