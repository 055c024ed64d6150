"""Where a page of answers ends, in a short text that leads to the next one.

A cursor holds the sort key of the page's last row, not how many rows came before: rows that are added or scored anew
meanwhile neither repeat nor displace others. It leads on only in the question that it was made for.
"""

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from db.errors import BadCursor

_TAG_BYTES = 4


def write_cursor(question: object, position: Sequence[str | float]) -> str:
    """A cursor to that position; `question` is what the page answers, told by its `repr`."""
    body = json.dumps(list(position), separators=(",", ":")).encode()
    return urlsafe_b64encode(_tag(question, body) + body).decode().rstrip("=")


def read_cursor(question: object, cursor: str) -> list[str | float]:
    """The position. Raises BadCursor for what is no cursor, or that of another question."""
    try:
        whole = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError:
        whole = b""
    tag, body = whole[:_TAG_BYTES], whole[_TAG_BYTES:]
    if not body or tag != _tag(question, body):
        raise BadCursor(
            f"{cursor!r} does not lead on here: give the cursor that the page before ended with, and the same "
            "filters and sort as for that page"
        )
    position: list[str | float] = json.loads(body)
    return position


def _tag(question: object, body: bytes) -> bytes:
    return zlib.crc32(repr(question).encode() + body).to_bytes(_TAG_BYTES, "big")
