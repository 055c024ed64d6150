"""What one contestant did in one round."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """Times in seconds, memory in MiB. Tokens are those of the reviews that were done; batch_tokens with padding.

    `operations` are the multiplications and additions that those reviews take without padding. `details` are what
    one kind of contestant tells and others do not.
    """

    reviews: int
    seconds: float
    tokens: int
    batch_tokens: int
    operations: int
    peak_mib: float
    first_result_s: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def reviews_per_second(self) -> float:
        """The pace."""
        return self.reviews / self.seconds


class Skipped(Exception):
    """Why a contestant cannot run here, in one line."""
