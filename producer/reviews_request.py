"""What a person asks to have read, at the command line, in a schedule or in Python, and the source found for it."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from db.database import Database
from producer.guess import guess_label, guess_text, likely_id
from producer.rows import Columns, check_columns
from producer.sources import Source, open_source
from producer.sources.named import NamedSource

#: Hears, a line at a time, what was guessed and how to overrule it.
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewsRequest:
    """Reviews in a person's words; None where nothing was said.

    `sources` are read one after the other, as `open_source` takes them, and stored under `name`. `text`, `id`, `pair`
    and `keep` name columns; one of `keep` may be several with ',' between them. Without an id the text makes one.
    """

    sources: Sequence[str]
    text: str | None = None
    id: str | None = None
    pair: str | None = None
    keep: Sequence[str] = ()
    name: str | None = None
    encoding: str | None = None
    delimiter: str | None = None


def find_reviews(asked: ReviewsRequest, tell: Tell, database: Database | None = None) -> tuple[Source, Columns]:
    """The source, which can be read, and its columns, which are there.

    Raises SourceError, SourceNameError, ColumnError, and GuessError where the text's column is not named nor obvious.
    """
    source = open_told(*asked.sources, encoding=asked.encoding, delimiter=asked.delimiter, tell=tell, database=database)
    keep = _each(source, asked.keep)
    text = find_text(source, asked.text, (asked.id, asked.pair, *keep), tell)
    columns = Columns(text=text, id=asked.id, pair=asked.pair, keep=keep)
    check_columns(source, columns)
    if asked.id is None:
        _mention_id(source, columns, tell)
    return source if asked.name is None else NamedSource(source, asked.name), columns


def open_told(
    *specs: str, encoding: str | None, delimiter: str | None, tell: Tell, database: Database | None = None
) -> Source:
    """The source that the specs name, with a word on what was guessed about its texts. Raises SourceError."""
    source = open_source(*specs, encoding=encoding, delimiter=delimiter, database=database)
    for notice in source.notices:
        tell(notice)
    return source


def find_text(source: Source, named: str | None, others: Collection[str | None], tell: Tell) -> str:
    """The column of the text: the one named, or an obvious one, which is told. Raises GuessError."""
    return named or _told(guess_text, source, "--text", others, tell)


def find_label(source: Source, others: Collection[str | None], tell: Tell) -> str:
    """An obvious column of labels, which is told. Raises GuessError."""
    return _told(guess_label, source, "--label", others, tell)


def _told(
    guess: Callable[[Source, Collection[str]], str],
    source: Source,
    option: str,
    others: Collection[str | None],
    tell: Tell,
) -> str:
    column = guess(source, [name for name in others if name is not None])
    tell(f"The {option.removeprefix('--')} is taken from the column {column!r}; for another: {option} COL")
    return column


def _mention_id(source: Source, columns: Columns, tell: Tell) -> None:
    # It is not taken unasked: were it not the reviews' own, different reviews would become revisions of one another.
    found = likely_id(source, columns.names)
    if found is not None:
        tell(f"Ids are made from the texts; for those of the column {found!r}: --id {found}")


def _each(source: Source, given: Sequence[str]) -> tuple[str, ...]:
    """The columns to keep, each once. One whose name holds a comma is taken whole."""
    known = source.columns() or ()
    names = [name for one in given for name in ([one] if one in known else map(str.strip, one.split(",")))]
    return tuple(dict.fromkeys(names))
