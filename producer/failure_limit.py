"""How many bad rows a source may have before it is taken for a rotten one."""

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from producer.errors import LimitError, TooManyFailures
from producer.rejected import RejectedRows

#: Bad rows told of: enough to see what is wrong with the source.
_SHOWN = 3
_WRITTEN = re.compile(r"(?P<rows>\d{1,18})|(?P<percent>\d{1,3}(\.\d{1,9})?)%")


@dataclass(frozen=True, slots=True)
class FailureLimit:
    """The most bad rows allowed: `most` of them, or a `share` of all rows, 0 to 1, where it is not None."""

    most: int = 0
    share: Fraction | None = None

    def __str__(self) -> str:
        return str(self.most) if self.share is None else f"{float(self.share * 100):g}%"

    def allowed(self, rows: int) -> int:
        """How many of so many rows may be bad."""
        return self.most if self.share is None else int(self.share * rows)

    def check(self, source: str, rejected: RejectedRows, read: int, most_rows: int | None) -> None:
        """Raise TooManyFailures as soon as the limit is certain to be passed.

        `read` rows were read so far of at most `most_rows`; None where nobody knows how many will come. A share is
        then checked when all are read.
        """
        if self.share is not None and most_rows is None:
            return
        if len(rejected) > self.allowed(max(read, most_rows or 0)):
            first = [f"line {row.row}: {row.reason}" for row in islice(rejected, _SHOWN)]
            raise TooManyFailures(source, len(rejected), read, str(self), first)


def read_failure_limit(written: str) -> FailureLimit:
    """The limit that a person wrote: a whole number, or a percentage such as `2.5%`. Raises LimitError."""
    found = _WRITTEN.fullmatch(written.strip())
    if found and found["rows"]:
        return FailureLimit(most=int(found["rows"]))
    if found and Fraction(found["percent"]) <= 100:
        return FailureLimit(share=Fraction(found["percent"]) / 100)
    raise LimitError(f"{written!r} is no limit: give a number of rows such as 100, or a share of them such as 2.5%")
