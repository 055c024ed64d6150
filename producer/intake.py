"""Taking in a source: rows are checked, stored and counted as they stream by."""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, overload

from db.database import Database
from db.jobs import RejectedRow
from db.reviews import store_reviews
from producer.errors import ExampleError, SourceError
from producer.failure_limit import FailureLimit
from producer.rejected import RejectedRows
from producer.rows import BadRow, Columns, Row, check_columns, read_rows
from producer.settings import ProducerSettings
from producer.sources import Source
from producer.values import Flaw

#: Rows stored in one transaction: long enough to be fast, short enough that workers are not kept waiting.
_ROWS_A_TRANSACTION = 10_000
#: And no more text than this, in characters, so that long reviews take no more memory than short ones.
_CHARS_A_TRANSACTION = 8 * 2**20


class LabelledText(NamedTuple):
    """A stored text (or pair of texts) by its hash and its review's id, with its label as `examples` keeps it.

    The label is None where a teacher alone tells what the text is.
    """

    text_hash: str
    review_id: int
    label: str | None


@dataclass(slots=True)
class Intake:
    """What a source held. Ids are kept as bare 64-bit numbers: ten million rows take 80 MB. Bad rows take none."""

    source: str
    review_ids: array = field(default_factory=lambda: array("q"))
    labels: list[str | None] = field(default_factory=list)  # one a review, of a source of examples only
    hashes: list[str] = field(default_factory=list)  # likewise
    rejected: RejectedRows = field(default_factory=RejectedRows)
    flaws: Counter[Flaw] = field(default_factory=Counter)  # of the rejected rows

    def chunks(self, size: int) -> Sequence[array]:
        """The review ids in runs of `size`."""
        return _Runs(self.review_ids, size)

    @property
    def read(self) -> int:
        """How many rows were read so far."""
        return len(self.review_ids) + len(self.rejected)

    def leave_out(self, unwanted: Callable[[array], Collection[int]]) -> int:
        """Take reviews out again, those of each run of ids that `unwanted` names; return how many rows they were."""
        kept = array("q")
        for ids in self.chunks(_ROWS_A_TRANSACTION):
            gone = unwanted(ids)
            kept.extend(id_ for id_ in ids if id_ not in gone)
        before, self.review_ids = len(self.review_ids), kept
        return before - len(kept)

    def labelled(self) -> Iterator[LabelledText]:
        """The reviews of a source of examples, in its order; a text may come more than once."""
        return map(LabelledText, self.hashes, self.review_ids, self.labels)

    def reject(self, bad: Sequence[BadRow]) -> None:
        """Note rows that are no reviews."""
        self.rejected.add(RejectedRow(row.row, row.external_id, row.reason) for row in bad)
        self.flaws.update(row.flaw for row in bad)


def take_in(
    database: Database,
    source: Source,
    columns: Columns,
    settings: ProducerSettings,
    limit: int | None = None,
    max_failures: FailureLimit | None = None,
) -> Intake:
    """Read the source to its end (or `limit` rows) and store its reviews, with the columns that are kept.

    Reviews are stored for good as they come, jobs are not made here: a source that breaks off
    halfway leaves texts behind that the next try finds again, and no half-made job.
    Raises ColumnError, SourceError for a source without a row, TooManyFailures as soon as more rows than
    `max_failures` are certain to be bad, and, where examples are read, ExampleError at the first value of the wrong
    kind: leaving it out would only hide that the column is another than was meant.
    """
    check_columns(source, columns)
    intake = Intake(source.name)
    most_rows = _most_rows(source, limit)
    rows = islice(read_rows(source, columns, max_chars=settings.max_review_chars), limit)
    for batch in _batches(rows):
        good = [row for row in batch if isinstance(row, Row)]
        bad = [row for row in batch if isinstance(row, BadRow)]
        if columns.of_examples:
            _refuse_wrong(source, bad)
        intake.reject(bad)
        if max_failures is not None:
            max_failures.check(source.name, intake.rejected, intake.read + len(good), most_rows)
        with database.write() as connection:
            intake.review_ids.extend(store_reviews(connection, source.name, good))
        if columns.of_examples:
            intake.labels += [row.label for row in good]
            intake.hashes += [row.text_hash for row in good]
    if not intake.read:
        raise SourceError(f"{source.name} has no rows")
    if max_failures is not None:
        max_failures.check(source.name, intake.rejected, intake.read, intake.read)
    return intake


def _most_rows(source: Source, limit: int | None) -> int | None:
    """The most rows that can come, where it is known before reading."""
    known = [rows for rows in (source.rows(), limit) if rows is not None]
    return min(known, default=None)


def _refuse_wrong(source: Source, bad: Sequence[BadRow]) -> None:
    for row in bad:
        if row.flaw is Flaw.WRONG:
            raise ExampleError(f"line {row.row} of {source.name}: {row.reason}")


def _batches(rows: Iterator[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    batch: list[Row | BadRow] = []
    chars = 0
    for row in rows:
        batch.append(row)
        chars += _chars(row)
        if len(batch) == _ROWS_A_TRANSACTION or chars >= _CHARS_A_TRANSACTION:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _chars(row: Row | BadRow) -> int:
    if isinstance(row, BadRow):
        return len(row.reason)
    return len(row.text) + len(row.pair or "") + sum(len(str(value)) for value in (row.extra or {}).values())


class _Runs(Sequence[array]):
    """An array in runs of `size`, the last perhaps shorter, each cut when it is asked for."""

    def __init__(self, values: array, size: int) -> None:
        self._values = values
        self._starts = range(0, len(values), size)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, at: int) -> array: ...
    @overload
    def __getitem__(self, at: slice) -> "list[array]": ...
    def __getitem__(self, at: int | slice) -> "array | list[array]":
        if isinstance(at, slice):
            return [self[one] for one in range(len(self))[at]]
        start = self._starts[at]
        return self._values[start : start + self._starts.step]
