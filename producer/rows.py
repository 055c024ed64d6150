"""From records to checked reviews: what every later stage may rely on is settled here."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from db.checkpoint import SINGLE_LABEL
from producer.errors import ColumnError
from producer.kept import kept_values
from producer.labels import label_reader, where_there_is_one
from producer.sources import Part, PartsSource, Record, Source, Unreadable
from producer.values import Flaw, RejectedValue, is_blank, kind_of, not_longer, storable

#: The longest id kept, in characters; database indexes refuse much longer keys.
MAX_ID_CHARS = 512
#: Bytes of a text hash. At 16, billions of texts do not collide by chance.
HASH_BYTES = 16

_ReadLabel = Callable[[Mapping[str, object]], str | None]


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns to read; only the text's is required.

    Labels stand in the column `label`, or in indicator columns: of 0 and 1, one a label, whose name it bears.
    `problem_type` (see db.checkpoint.PROBLEM_TYPES) says what a label is: one of several that exclude one another,
    any number of them, or a number. With `unlabelled` rows are examples to learn from whether or not they have one.
    What stands in the columns `keep` is stored beside the review as it is.
    """

    text: str
    id: str | None = None
    pair: str | None = None
    label: str | None = None
    indicators: tuple[str, ...] = ()
    problem_type: str = SINGLE_LABEL
    unlabelled: bool = False
    keep: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every column that is to be read."""
        named = (self.text, self.id, self.pair, self.label, *self.indicators, *self.keep)
        return [name for name in named if name is not None]

    @property
    def has_labels(self) -> bool:
        """Whether labels are read."""
        return self.label is not None or bool(self.indicators)

    @property
    def of_examples(self) -> bool:
        """Whether rows are examples to learn from."""
        return self.has_labels or self.unlabelled


class Row(NamedTuple):
    """A review fit to store. `row` is the source line, from 1; without an id column the id is the hash.

    `extra` holds the values of the columns that are kept, by name; None where none are.
    """

    row: int
    external_id: str
    text: str
    pair: str | None
    label: str | None
    text_hash: str
    extra: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that is no review, and why. The id is there when it was readable."""

    row: int
    external_id: str | None
    reason: str
    flaw: Flaw = Flaw.UNREADABLE


def check_columns(source: Source, columns: Columns) -> None:
    """Raise ColumnError when a named column is not in the source, or not in one of several, so an error costs no job.

    A jsonl file shows only the keys of its first object. A source that tells no columns passes.
    """
    parts = source.parts if isinstance(source, PartsSource) else [Part(None, source)]
    for label, part in parts:
        known = part.columns()
        for name in columns.names:
            if known is not None and name not in known:
                raise ColumnError(name, known, label)


def read_rows(source: Source, columns: Columns, *, max_chars: int) -> Iterator[Row | BadRow]:
    """Yield one Row or BadRow for every record, in order; a bad one never stops the others.

    `max_chars` bounds the text and the pair, each, in characters. Raises SourceError when the source
    itself stops being readable.
    """
    read_label = _label_reader(columns)
    for record in source.records(columns.names):
        if isinstance(record, Unreadable):
            yield BadRow(record.row, None, _placed(record, record.reason))
        else:
            yield _checked(record, columns, read_label, max_chars)


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


def _label_reader(columns: Columns) -> _ReadLabel | None:
    read = label_reader(columns.label, columns.indicators, columns.problem_type)
    return where_there_is_one(read) if read is not None and columns.unlabelled else read


def _checked(record: Record, columns: Columns, read_label: _ReadLabel | None, max_chars: int) -> Row | BadRow:
    values = record.values
    external_id = None
    try:
        if columns.id is not None:
            external_id = checked_id(values.get(columns.id))
        text = _text(values.get(columns.text), "text", max_chars)
        pair = None if columns.pair is None else _text(values.get(columns.pair), "pair", max_chars)
        label = None if read_label is None else read_label(values)
        extra = kept_values(values, columns.keep, max_chars) if columns.keep else None
    except RejectedValue as rejected:
        return BadRow(record.row, external_id, _placed(record, str(rejected)), rejected.flaw)
    digest = text_hash(text, pair)
    return Row(record.row, digest if external_id is None else external_id, text, pair, label, digest, extra)


def _placed(record: Record | Unreadable, reason: str) -> str:
    """The reason, and the file where the source is several: a line alone would not tell."""
    return reason if record.part is None else f"in {record.part}: {reason}"


def _text(value: object, what: str, max_chars: int) -> str:
    if value is None or value == "":
        raise RejectedValue(f"no {what}", Flaw.EMPTY)
    if not isinstance(value, str):
        raise RejectedValue(f"the {what} is {kind_of(value)}, not text", Flaw.WRONG)
    not_longer(value, what, max_chars)
    if value.isspace():
        raise RejectedValue(f"the {what} is only white space", Flaw.EMPTY)
    return storable(value, what)


def checked_id(value: object) -> str:
    """The id of a record, as text. Raises RejectedValue for what is none, or cannot be kept."""
    if is_blank(value):
        raise RejectedValue("no id")
    if not isinstance(value, (str, int, UUID)) or isinstance(value, bool):
        raise RejectedValue(f"the id is {kind_of(value)}; it must be text or a whole number")
    name = value if isinstance(value, str) else str(value)
    if len(name) > MAX_ID_CHARS:
        raise RejectedValue(f"the id has {len(name):,} characters; at most {MAX_ID_CHARS} are kept")
    return storable(name, "id")
