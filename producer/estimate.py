"""What scoring a source would come to, told from its first rows, before anything is stored or enqueued."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from db.database import Database
from db.model_files import ModelFiles
from db.predictions import scored_texts
from db.registry import RegisteredModel
from db.speeds import Speed, device_speeds
from producer.errors import SourceError
from producer.rows import Columns, Row, check_columns, read_rows
from producer.settings import ProducerSettings
from producer.sources import Source
from producer.tokens import TokenCount, count_tokens

#: Rows that are read, unless another number is asked for: enough for shares within two in a hundred.
SAMPLE_ROWS = 2_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the first rows of a source hold.

    `new` are the reviews, each text once, that the model has not scored; `tokens` count what it reads of all good rows,
    and `new_tokens` of the new ones. None where its tokenizer cannot be asked.
    """

    rows: int
    bad: int
    repeats: int
    known: int
    new: int
    tokens: int | None
    truncated: int | None
    new_tokens: int | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A source's sample, and how many rows the whole of it has: exactly, about, or None where nothing tells.

    `devices` are those of the workers that are to score it, and `speeds` those of them that were measured.
    """

    source: str
    model: str
    max_tokens: int
    sample: Sample
    rows: int | None
    is_exact: bool
    devices: Sequence[str]
    speeds: dict[str, Speed] = field(default_factory=dict)

    def of_all(self, of_sample: int | None) -> int | None:
        """How many there are in the whole source, of what there are so many in the sample."""
        if self.rows is None or of_sample is None:
            return None
        return round(self.rows * of_sample / self.sample.rows)

    @property
    def is_whole(self) -> bool:
        """Whether the sample is all there is."""
        return self.is_exact and self.rows == self.sample.rows

    @property
    def seconds(self) -> tuple[float, float] | None:
        """The shortest and the longest that the measured devices would compute; None where that is not known."""
        tokens = self.of_all(self.sample.new_tokens)
        if tokens == 0:
            return 0.0, 0.0
        if tokens is None or not self.speeds:
            return None
        fast, slow = (sum(getattr(speed, bound) for speed in self.speeds.values()) for bound in ("high", "low"))
        return tokens / fast, tokens / slow


def estimate_scoring(
    database: Database,
    source: Source,
    columns: Columns,
    model: RegisteredModel,
    settings: ProducerSettings,
    *,
    devices: Sequence[str],
    sample_rows: int = SAMPLE_ROWS,
    limit: int | None = None,
) -> Estimate:
    """Read the first rows of a source and tell what scoring it, or its first `limit` rows, would come to.

    Raises ColumnError, ModelError, and SourceError for a source without a row.
    """
    check_columns(source, columns)
    wanted = sample_rows if limit is None else min(sample_rows, limit)
    read, pace = _read_first(source, read_rows(source, columns, max_chars=settings.max_review_chars), wanted)
    if not read:
        raise SourceError(f"{source.name} has no rows")
    rows, is_exact = _all_rows(source, len(read), wanted, limit, pace)
    sample = _sample(database, model, [row for row in read if isinstance(row, Row)], len(read))
    with database.read() as connection:
        speeds = device_speeds(connection, model.id, devices)
    return Estimate(source.name, model.reference, model.max_tokens, sample, rows, is_exact, devices, speeds)


def expected_rows(source: Source, limit: int | None = None) -> int | None:
    """About how many rows a source has, or as many as are to be read of it; None where nothing tells."""
    if source.rows() is not None:
        return _all_rows(source, 0, 0, limit, None)[0]
    if source.share_read() is None:
        # Not to be known, and what is standard input can be read only once.
        return None
    read, pace = _read_first(source, source.records(), SAMPLE_ROWS)
    return _all_rows(source, len(read), SAMPLE_ROWS, limit, pace)[0]


def _read_first(source: Source, rows: Iterator[_T], wanted: int) -> tuple[list[_T], float | None]:
    """The first rows, and how many make up the source at the pace of these; None where that cannot be told."""
    read = [*islice(rows, 1)]
    begun = source.share_read()
    read += islice(rows, wanted - 1)
    share = source.share_read()
    if not share or begun is None:
        return read, None
    # A file is read ahead of its rows, at the first as at the last of them.
    return read, (len(read) - 1) / (share - begun) if share > begun else len(read) / share


def _all_rows(source: Source, read: int, wanted: int, limit: int | None, pace: float | None) -> tuple[int | None, bool]:
    """How many rows there are, and whether that is exact, once `read` were read of the `wanted` ones."""
    if read < wanted or read == limit:
        return read, True
    known = source.rows()
    if known is not None:
        return (known if limit is None else min(known, limit)), True
    if pace is None:
        return None, False
    about = max(read, round(pace))
    return (about if limit is None else min(about, limit)), False


def _sample(database: Database, model: RegisteredModel, good: Sequence[Row], rows: int) -> Sample:
    different = {row.text_hash: at for at, row in reversed([*enumerate(good)])}
    with database.read() as connection:
        known = scored_texts(connection, model.id, [*different])
    folder = ModelFiles().folder(model.path, model.reference)
    counts = count_tokens(folder, [(row.text, row.pair) for row in good], model.max_tokens)
    new = [at for text_hash, at in different.items() if text_hash not in known]
    return Sample(
        rows=rows,
        bad=rows - len(good),
        repeats=len(good) - len(different),
        known=len(known),
        new=len(new),
        tokens=_tokens(counts, range(len(good))),
        truncated=None if counts is None else sum(one.truncated for one in counts),
        new_tokens=_tokens(counts, new),
    )


def _tokens(counts: Sequence[TokenCount] | None, places: Sequence[int]) -> int | None:
    return None if counts is None else sum(counts[at].tokens for at in places)
