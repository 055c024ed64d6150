"""What a check found."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How it stands: a warning is worth a look, what is wrong makes the doctor's exit code 1."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, in a line, and how to mend it; empty where nothing is to mend."""

    check: str
    status: Status
    what: str
    mend: str = ""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, Status.OK, what)


def warning(check: str, what: str, mend: str) -> Finding:
    """It works, and should not stay so."""
    return Finding(check, Status.WARNING, what, mend)


def wrong(check: str, what: str, mend: str) -> Finding:
    """Something cannot work, or is not what it should be."""
    return Finding(check, Status.WRONG, what, mend)
