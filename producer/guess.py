"""Which column is which, where nobody said: by the well-known names, and by what stands in the first rows."""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from producer.errors import GuessError
from producer.sources.base import Record, Source
from producer.values import is_blank

#: Names under which texts, labels and ids stand, in lower case and with '_' for white space, '-' and '.'.
TEXT_NAMES = {
    "text",
    "review",
    "reviews",
    "review_text",
    "reviewtext",
    "review_body",
    "review_content",
    "body",
    "comment",
    "comments",
    "content",
    "sentence",
    "feedback",
}
LABEL_NAMES = {"label", "labels", "sentiment", "stars", "rating", "class", "category", "target"}
ID_NAMES = {"id", "review_id", "uuid"}
#: Rows that are looked at: few, because only the beginning of standard input can be read again.
_SAMPLE = 50
#: And of each text there so much.
_LOOKED_AT_CHARS = 10_000
#: Stands for a value that is neither text nor a number: no column of texts, and none of ids.
_OTHER = ()


def guess_text(source: Source, taken: Collection[str] = ()) -> str:
    """The one column with a text's name, or else the only one of words; `taken` are columns of other meaning.

    Raises GuessError where that is not obvious.
    """
    known = _columns(source)
    free = [name for name in known if name not in taken]
    found = _named(free, TEXT_NAMES)
    if not found:
        records = _sample(source)
        others = _named(free, ID_NAMES | LABEL_NAMES)
        unnamed = [name for name in free if name not in others]
        found = [name for name in unnamed if _has_words([record.values.get(name) for record in records])]
    return _only(found, "text", "--text COL", known)


def guess_label(source: Source, taken: Collection[str] = ()) -> str:
    """The one column with a label's name. Raises GuessError where that is not obvious."""
    known = _columns(source)
    found = _named([name for name in known if name not in taken], LABEL_NAMES)
    return _only(found, "label", "--label COL, or a --teacher to learn from", known)


def likely_id(source: Source, taken: Collection[str] = ()) -> str | None:
    """The one column with an id's name, where no value comes twice in the first rows."""
    found = _named([name for name in _columns(source) if name not in taken], ID_NAMES)
    if len(found) != 1:
        return None
    values = [str(record.values.get(found[0])) for record in _sample(source)]
    return found[0] if len(set(values)) == len(values) else None


def _only(found: Sequence[str], what: str, instead: str, known: list[str]) -> str:
    if len(found) != 1:
        raise GuessError(what, instead, found, known)
    return found[0]


def _columns(source: Source) -> list[str]:
    known = source.columns()
    if known is not None:
        return known
    return list(dict.fromkeys(name for record in _sample(source) for name in record.values))


def _named(columns: Iterable[str], names: Collection[str]) -> list[str]:
    return [column for column in columns if _plain(column) in names]


def _plain(column: str) -> str:
    return "_".join(column.casefold().replace("-", " ").replace(".", " ").replace("_", " ").split())


def _sample(source: Source) -> list[Record]:
    return [_shortened(record) for record in islice(source.records(), _SAMPLE) if isinstance(record, Record)]


def _shortened(record: Record) -> Record:
    """The record as far as it tells of its columns: whole ones may be long, and several are held."""
    return record._replace(values={name: _looked_at(value) for name, value in record.values.items()})


def _looked_at(value: object) -> object:
    if isinstance(value, str):
        return value[:_LOOKED_AT_CHARS]
    return value if value is None or isinstance(value, int | float) else _OTHER


def _has_words(values: Sequence[object]) -> bool:
    """Whether a column holds text: in a csv file everything is a string, so numbers written as one do not count."""
    told = [value for value in values if not is_blank(value)]
    return bool(told) and all(isinstance(value, str) for value in told) and not all(map(_is_number, told))


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True
