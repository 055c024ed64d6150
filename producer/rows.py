"""From records to checked reviews: what every later stage may rely on is settled here."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from producer.errors import ColumnError
from producer.sources.base import Record, Source, Unreadable

#: The longest id kept, in characters; database indexes refuse much longer keys.
MAX_ID_CHARS = 512
#: Bytes of a text hash. At 16, billions of texts do not collide by chance.
HASH_BYTES = 16


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns to read; only the text's is required."""

    text: str
    id: str | None = None
    pair: str | None = None
    label: str | None = None


class Row(NamedTuple):
    """A review fit to store. `row` is the source line, from 1; without an id column the id is the hash."""

    row: int
    external_id: str
    text: str
    pair: str | None
    label: str | None
    text_hash: str


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that is no review, and why. The id is there when it was readable."""

    row: int
    external_id: str | None
    reason: str


class _RejectedError(Exception):
    """A value that breaks a rule; the message is the reason."""


def check_columns(source: Source, columns: Columns) -> None:
    """Raise ColumnError when a named column is not in the source, so a typing error costs no job.

    A jsonl file shows only the keys of its first object. A source that tells no columns passes.
    """
    known = source.columns()
    if known is None:
        return
    for name in (columns.text, columns.id, columns.pair, columns.label):
        if name is not None and name not in known:
            raise ColumnError(name, known)


def read_rows(source: Source, columns: Columns, *, max_chars: int) -> Iterator[Row | BadRow]:
    """Yield one Row or BadRow for every record, in order; a bad one never stops the others.

    `max_chars` bounds the text and the pair, each, in characters. Raises SourceError when the source
    itself stops being readable.
    """
    for record in source.records():
        if isinstance(record, Unreadable):
            yield BadRow(record.row, None, record.reason)
        else:
            yield _checked(record, columns, max_chars)


def text_hash(text: str, pair: str | None = None) -> str:
    """Return 32 hex digits that stand for the text, or for the text and its pair.

    The text's length goes in ahead of a pair, so moving the border between them changes the hash; and pairs
    are hashed apart from lone texts. Raises UnicodeEncodeError for lone surrogates.
    """
    encoded = text.encode()
    if pair is None:
        return hashlib.blake2b(encoded, digest_size=HASH_BYTES).hexdigest()
    framed = len(encoded).to_bytes(8, "big") + encoded + pair.encode()
    return hashlib.blake2b(framed, digest_size=HASH_BYTES, person=b"reviewmill.pair").hexdigest()


def _checked(record: Record, columns: Columns, max_chars: int) -> Row | BadRow:
    values = record.values
    external_id = None
    try:
        if columns.id is not None:
            external_id = _id(values.get(columns.id))
        text = _text(values.get(columns.text), "text", max_chars)
        pair = None if columns.pair is None else _text(values.get(columns.pair), "pair", max_chars)
        label = None if columns.label is None else _label(values.get(columns.label))
    except _RejectedError as rejected:
        return BadRow(record.row, external_id, str(rejected))
    digest = text_hash(text, pair)
    return Row(record.row, digest if external_id is None else external_id, text, pair, label, digest)


def _text(value: object, what: str, max_chars: int) -> str:
    if value is None or value == "":
        raise _RejectedError(f"no {what}")
    if not isinstance(value, str):
        raise _RejectedError(f"the {what} is {_kind(value)}, not text")
    if len(value) > max_chars:
        limit = f"REVIEWMILL_MAX_REVIEW_CHARS allows {max_chars:,}"
        raise _RejectedError(f"the {what} has {len(value):,} characters; {limit}")
    if value.isspace():
        raise _RejectedError(f"the {what} is only white space")
    return _storable(value, what)


def _id(value: object) -> str:
    if value is None or (isinstance(value, str) and (not value or value.isspace())):
        raise _RejectedError("no id")
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise _RejectedError(f"the id is {_kind(value)}; it must be text or a whole number")
    name = value if isinstance(value, str) else str(value)
    if len(name) > MAX_ID_CHARS:
        raise _RejectedError(f"the id has {len(name):,} characters; at most {MAX_ID_CHARS} are kept")
    return _storable(name, "id")


def _label(value: object) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise _RejectedError("no label")
    if not isinstance(value, str | int):
        raise _RejectedError(f"the label is {_kind(value)}; it must be text, a whole number, true or false")
    return _storable(str(value), "label")


def _storable(value: str, what: str) -> str:
    if "\0" in value:
        raise _RejectedError(f"the {what} holds a NUL character, which no SQL text column can store")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            where = f"half a surrogate pair at character {error.start + 1}"
            raise _RejectedError(f"the {what} is not valid Unicode: {where}") from None
    return value


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"
