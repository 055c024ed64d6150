"""Texts that a program holds already, as a source."""

from collections.abc import Iterator, Sequence

from producer.errors import SourceError
from producer.sources.base import Record, Unreadable

TEXT, PAIR = "text", "pair"
#: As long as the column that keeps it.
_MAX_NAME_CHARS = 512


class TextsSource:
    """Texts, and a second text beside each where pairs are given; a record's row is its place, from 1.

    Raises SourceError for a name that cannot be kept, for one text alone, whose letters would be taken for texts, and
    where there are not as many pairs as texts.
    """

    def __init__(self, name: str, texts: Sequence[str], pairs: Sequence[str] | None = None) -> None:
        if not 0 < len(name) <= _MAX_NAME_CHARS:
            raise SourceError(f"the source's name has {len(name):,} characters; give 1 to {_MAX_NAME_CHARS}")
        if isinstance(texts, str) or isinstance(pairs, str):
            raise SourceError("that is one text; give a list of texts")
        if pairs is not None and len(pairs) != len(texts):
            raise SourceError(f"there are {len(texts):,} texts and {len(pairs):,} pairs; give one pair a text")
        self.name = name
        self._texts = texts
        self._pairs = pairs

    def columns(self) -> list[str] | None:
        """Return the names under which a record has its text and its pair."""
        return [TEXT] if self._pairs is None else [TEXT, PAIR]

    def records(self) -> Iterator[Record | Unreadable]:
        """Yield every text in the order given."""
        for row, text in enumerate(self._texts, start=1):
            pair = {} if self._pairs is None else {PAIR: self._pairs[row - 1]}
            yield Record(row, {TEXT: text, **pair})
