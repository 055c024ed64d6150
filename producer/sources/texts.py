"""Texts that a program holds already, as a source."""

from collections.abc import Collection, Iterator, Sequence

from producer.errors import SourceError
from producer.sources.base import Record, Unreadable
from producer.sources.named import check_source_name

TEXT, PAIR = "text", "pair"


class TextsSource:
    """Texts, and a second text beside each where pairs are given; a record's row is its place, from 1.

    Raises SourceNameError for a name that cannot be kept, SourceError for one text alone, whose letters would be taken
    for texts, and where there are not as many pairs as texts.
    """

    def __init__(self, name: str, texts: Sequence[str], pairs: Sequence[str] | None = None) -> None:
        check_source_name(name)
        if isinstance(texts, str) or isinstance(pairs, str):
            raise SourceError("that is one text; give a list of texts")
        if pairs is not None and len(pairs) != len(texts):
            raise SourceError(f"there are {len(texts):,} texts and {len(pairs):,} pairs; give one pair a text")
        self.name = name
        self.notices: list[str] = []
        self._texts = texts
        self._pairs = pairs

    def columns(self) -> list[str] | None:
        """Return the names under which a record has its text and its pair."""
        return [TEXT] if self._pairs is None else [TEXT, PAIR]

    def rows(self) -> int | None:
        """Return how many texts there are."""
        return len(self._texts)

    def share_read(self) -> float | None:
        """Return None: they are at hand, and nobody waits for them."""
        return None

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """Yield every text in the order given."""
        for row, text in enumerate(self._texts, start=1):
            pair = {} if self._pairs is None else {PAIR: self._pairs[row - 1]}
            yield Record(row, {TEXT: text, **pair})
