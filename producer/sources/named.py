"""A source under a name of one's own."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from producer.errors import SourceNameError
from producer.sources.base import Record, Source, Unreadable
from producer.values import RejectedValue, is_blank, storable

#: The longest name kept, in characters, as for ids.
MAX_NAME_CHARS = 512


@dataclass(frozen=True, slots=True)
class NamedSource:
    """The records of `source`, to be stored as reviews of `name`: of today's file and of yesterday's, say.

    Raises SourceNameError for a name that cannot be stored.
    """

    source: Source
    name: str

    def __post_init__(self) -> None:
        check_source_name(self.name)

    @property
    def notices(self) -> list[str]:
        """What the source guessed."""
        return self.source.notices

    def columns(self) -> list[str] | None:
        """The source's columns."""
        return self.source.columns()

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        """The source's records."""
        return self.source.records(only)

    def rows(self) -> int | None:
        """How many rows the source has, where it knows."""
        return self.source.rows()

    def share_read(self) -> float | None:
        """How far the source was read."""
        return self.source.share_read()


def check_source_name(name: str) -> None:
    """Raise SourceNameError for a name that reviews cannot be stored under."""
    if is_blank(name):
        raise SourceNameError("the name of a source is empty; give it some letters")
    if len(name) > MAX_NAME_CHARS:
        raise SourceNameError(f"the name of a source has {len(name):,} characters; at most {MAX_NAME_CHARS} are kept")
    try:
        storable(name, "name of a source")
    except RejectedValue as rejected:
        raise SourceNameError(str(rejected)) from None
