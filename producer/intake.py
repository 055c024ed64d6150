"""Taking in a source: rows are checked, stored and counted as they stream by."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from db.database import Database
from db.jobs import LabelledReview, RejectedRow
from db.reviews import store_reviews
from producer.errors import SourceError
from producer.rows import BadRow, Columns, Row, check_columns, read_rows
from producer.settings import ProducerSettings
from producer.sources import Source

#: Rows stored in one transaction: long enough to be fast, short enough that workers are not kept waiting.
_ROWS_A_TRANSACTION = 10_000


@dataclass(slots=True)
class Intake:
    """What a source held. Ids are kept as bare 64-bit numbers: ten million rows take 80 MB."""

    review_ids: array = field(default_factory=lambda: array("q"))
    labels: list[str] = field(default_factory=list)  # one a review, of a labelled source only
    hashes: list[str] = field(default_factory=list)  # likewise
    rejected: list[RejectedRow] = field(default_factory=list)

    def chunks(self, size: int) -> list[array]:
        """The review ids in runs of `size`."""
        return [self.review_ids[at : at + size] for at in range(0, len(self.review_ids), size)]

    def examples(self, validation_share: float) -> list[LabelledReview]:
        """One example a distinct review. Its text decides its split, so no text stands in both."""
        split = {True: "validation", False: "train"}
        chosen = {
            id_: LabelledReview(id_, label, split[_fraction(text_hash) < validation_share])
            for id_, label, text_hash in zip(self.review_ids, self.labels, self.hashes, strict=True)
        }
        return list(chosen.values())


def take_in(
    database: Database,
    source: Source,
    columns: Columns,
    settings: ProducerSettings,
    limit: int | None = None,
) -> Intake:
    """Read the source to its end (or `limit` rows) and store its reviews.

    Reviews are stored for good as they come, jobs are not made here: a source that breaks off
    halfway leaves texts behind that the next try finds again, and no half-made job.
    Raises ColumnError, and SourceError for a source without a row.
    """
    check_columns(source, columns)
    intake = Intake()
    rows = islice(read_rows(source, columns, max_chars=settings.max_review_chars), limit)
    for batch in _batches(rows):
        good = [row for row in batch if isinstance(row, Row)]
        with database.write() as connection:
            intake.review_ids.extend(store_reviews(connection, source.name, good))
        if columns.label is not None:
            intake.labels += [row.label or "" for row in good]
            intake.hashes += [row.text_hash for row in good]
        bad = (row for row in batch if isinstance(row, BadRow))
        intake.rejected += [RejectedRow(row.row, row.external_id, row.reason) for row in bad]
    if not intake.review_ids and not intake.rejected:
        raise SourceError(f"{source.name} has no rows")
    return intake


def _fraction(text_hash: str) -> float:
    """A number from 0 to 1 that a text always gets again."""
    return int(text_hash[:8], 16) / 0x1_0000_0000


def _batches(rows: Iterator[Row | BadRow]) -> Iterator[list[Row | BadRow]]:
    while batch := list(islice(rows, _ROWS_A_TRANSACTION)):
        yield batch
