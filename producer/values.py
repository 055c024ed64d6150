"""Single values of a record: why one is refused, and what every one of them must be to be stored."""

from enum import Enum

#: Enough of a value to find it by.
_SHOWN_CHARS = 60


class Flaw(Enum):
    """What is wrong with a record that is no review.

    One of the WRONG kind, a number for a text perhaps, says that the column is not what it was taken for.
    """

    EMPTY = "empty"
    UNLABELLED = "unlabelled"
    WRONG = "wrong"
    UNREADABLE = "unreadable"


class RejectedValue(Exception):
    """A value that breaks a rule; the message is the reason."""

    def __init__(self, reason: str, flaw: Flaw = Flaw.UNREADABLE) -> None:
        super().__init__(reason)
        self.flaw = flaw


def is_blank(value: object) -> bool:
    """Whether nothing stands there: no value, or white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def storable(value: str, what: str) -> str:
    """The value, which any SQL text column can hold. Raises RejectedValue for one that cannot be."""
    if "\0" in value:
        raise RejectedValue(f"the {what} holds a NUL character, which no SQL text column can store")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            where = f"half a surrogate pair at character {error.start + 1}"
            raise RejectedValue(f"the {what} is not valid Unicode: {where}") from None
    return value


def not_longer(value: str, what: str, max_chars: int) -> None:
    """Raise RejectedValue for a text of more characters than REVIEWMILL_MAX_REVIEW_CHARS allows."""
    if len(value) > max_chars:
        limit = f"REVIEWMILL_MAX_REVIEW_CHARS allows {max_chars:,}"
        raise RejectedValue(f"the {what} has {len(value):,} characters; {limit}")


def shown(value: object) -> str:
    """A value as a message tells it: in quotes where it is text, and cut where it is long."""
    told = repr(value)
    return told if len(told) <= _SHOWN_CHARS else f"{told[:_SHOWN_CHARS]}..."


def kind_of(value: object) -> str:
    """What a value is, for a message: `a number`, `a list`."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"
