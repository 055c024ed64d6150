"""What can go wrong in this room. Every message is one line: what was wrong, and what is allowed."""

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Reading a source loads no database.
    from db.jobs import JobStatus

#: Enough names to recognise a file by; a line of hundreds would bury the message.
SHOWN_COLUMNS = 20
#: Below this likeness (0 to 1) a suggested name would mislead rather than help.
MIN_LIKENESS = 0.5


class ProducerError(Exception):
    """The root of this room's errors; catching it catches them all."""


class SourceError(ProducerError):
    """The source as a whole can not be read: no such file, not text, no header, an unknown format."""


class ColumnError(ProducerError):
    """A column was named that the source, or one `part` of several, does not have."""

    def __init__(self, wanted: str, known: list[str], part: str | None = None) -> None:
        self.wanted = wanted
        self.known = known
        super().__init__(unknown_name("column", wanted, known, "" if part is None else f" in {part}"))


def unknown_name(kind: str, wanted: str, known: list[str], where: str = "") -> str:
    """Say that nothing of a kind, `column` say, has that name; which one may be meant, and which there are."""
    return f"no {kind} {wanted!r}{where}{_suggestion(wanted, known)}; {_listing(kind, known)}"


def _suggestion(wanted: str, known: list[str]) -> str:
    folded = {name.strip().casefold(): name for name in reversed(known)}
    close = difflib.get_close_matches(wanted.strip().casefold(), folded, n=1, cutoff=MIN_LIKENESS)
    return f" (did you mean {folded[close[0]]!r}?)" if close else ""


def _listing(kind: str, known: list[str]) -> str:
    if not known:
        return f"there are no {kind}s"
    return f"the {kind}s are {_named(known)}"


def _named(columns: Sequence[str]) -> str:
    names = ", ".join(repr(name) for name in columns[:SHOWN_COLUMNS])
    more = len(columns) - SHOWN_COLUMNS
    return names + (f" and {more} more" if more > 0 else "")


class GuessError(ProducerError):
    """A column was not named, and which it is is not obvious."""

    def __init__(self, what: str, instead: str, candidates: Sequence[str], known: list[str]) -> None:
        found = f"{_named(candidates)} could be" if candidates else "none looks like it"
        listing = _listing("column", known)
        super().__init__(f"which column is the {what} is not obvious: {found}; give {instead}; {listing}")


class SourceNameError(ProducerError):
    """Reviews cannot be stored under that name."""


class LimitError(ProducerError):
    """That is no limit on bad rows."""


class TooManyFailures(ProducerError):
    """A source has more bad rows than were allowed; nothing is enqueued."""

    def __init__(self, source: str, failed: int, read: int, allowed: str, first: Sequence[str]) -> None:
        rows = "1 row" if failed == 1 else f"{failed:,} rows"
        super().__init__(
            f"{rows} of the {read:,} read from {source} are bad, and --max-failures allows {allowed}; "
            f"nothing is enqueued. The first: {'; '.join(first)}"
        )


class ModelError(ProducerError):
    """The model or base that was named cannot be had."""


class LabelError(ProducerError):
    """The labels of a fine-tuning source cannot make a model."""


class ExampleError(ProducerError):
    """The rows of a fine-tuning source cannot be learned from."""


class TeacherError(ProducerError):
    """A model cannot teach what was asked for."""


class CalibrationError(ProducerError):
    """A model that is to be fine-tuned cannot be calibrated."""


class OptionError(ProducerError):
    """The options of a fine-tuning do not go together, or do not fit its labels."""


class CorrectionError(ProducerError):
    """A file of corrections cannot be brought back as a whole."""


class NotifyError(ProducerError):
    """Nobody can be told of a job's end there, or nothing signs what is told."""


class BadName(ProducerError):
    """Nothing can have that name."""


class CronError(ProducerError):
    """That is no cron expression, or no time zone, that a schedule could follow."""


class JobFailed(ProducerError):
    """A job that was waited for failed, or was cancelled; `status` is how it ended."""

    def __init__(self, status: "JobStatus") -> None:
        self.status = status
        how = f"failed: {status.error}" if status.state == "failed" else f"was {status.state}"
        super().__init__(f"job {status.id} {how}")
