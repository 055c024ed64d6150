"""Bringing people's corrections back: rows of a file are checked one by one, and what they say is stored."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from db.corrections import NamedReview, NewCorrection, Stored, reviews_of, scored_sources, store_corrections
from db.database import Database
from db.errors import UnknownModel
from db.registry import RegisteredModel, find_model, list_models
from producer.correction_rows import EXTERNAL_ID, MODEL, CorrectionReader, ReadCorrection
from producer.errors import ColumnError, CorrectionError, GuessError
from producer.label_studio import LABEL, LabelStudioExport
from producer.sources import Record, Source, Unreadable, open_source
from producer.values import Flaw, RejectedValue

#: Rows looked up and stored in one transaction.
_ROWS_A_TRANSACTION = 1_000
#: What the column of ids is called where nobody said.
_ID_COLUMNS = (EXTERNAL_ID, "id")
#: Sources named in a reason.
_SHOWN_SOURCES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionsRequest:
    """A file of corrections in a person's words; None where nothing was said.

    `model`, `source` and `annotator` are for rows that do not tell theirs. `id` and `label` name columns.
    """

    file: str
    model: str | None = None
    source: str | None = None
    annotator: str | None = None
    id: str | None = None
    label: str | None = None
    encoding: str | None = None
    delimiter: str | None = None


class Refused(NamedTuple):
    """A row that was not stored, and why."""

    row: int
    external_id: str | None
    reason: str


@dataclass(slots=True)
class Imported:
    """What became of every row: `read` is the sum of what is `stored`, the `unlabelled` and the `refused`.

    `rows_are` lines of the file, or tasks: that is what the row of a refused one counts.
    """

    rows_are: str
    read: int = 0
    stored: Stored = field(default_factory=Stored)
    unlabelled: int = 0
    refused: list[Refused] = field(default_factory=list)


def import_corrections(database: Database, asked: CorrectionsRequest) -> Imported:
    """Read the file to its end and store what it says. It can be imported again, which changes nothing.

    A row that names no review, or a label that its model does not give, is refused, and the others are stored.
    Raises SourceError, ColumnError, GuessError, UnknownModel, and CorrectionError where no model is told or there are
    no rows.
    """
    is_json = Path(asked.file).suffix.lower() == ".json"
    source = _open(asked, is_json)
    reader = _reader(database, source, asked)
    with database.read() as connection:
        sources = [asked.source] if asked.source else scored_sources(connection)
    imported = Imported("task" if is_json else "line")
    records = iter(source.records())
    while True:
        before = imported.read
        told = _read(islice(records, _ROWS_A_TRANSACTION), reader, imported)
        if imported.read == before:
            break
        with database.write() as connection:
            stored = store_corrections(connection, list(_with_reviews(connection, told, sources, imported)))
        imported.stored = _sum(imported.stored, stored)
    if not imported.read:
        raise CorrectionError(f"{asked.file} has no rows")
    imported.refused.sort(key=lambda one: one.row)
    return imported


def _open(asked: CorrectionsRequest, is_json: bool) -> Source | LabelStudioExport:
    if is_json:
        return LabelStudioExport(Path(asked.file), asked.label or LABEL)
    return open_source(asked.file, encoding=asked.encoding, delimiter=asked.delimiter)


def _reader(database: Database, source: Source | LabelStudioExport, asked: CorrectionsRequest) -> CorrectionReader:
    known = source.columns() or []
    with database.read() as connection:
        given = None if asked.model is None else find_model(connection, asked.model)
        if given is None and MODEL not in known:
            names = ", ".join(sorted({one.name for one in list_models(connection)})) or "there are none"
            raise CorrectionError(
                f"no column {MODEL!r} tells whose answers are corrected; give --model; models are: {names}"
            )
    columns = _id_column(asked.id, known), _label_column(asked.label, known)
    return CorrectionReader(*columns, _Models(database, given).named, asked.source, asked.annotator)


def _id_column(named: str | None, known: list[str]) -> str:
    found = [name for name in _ID_COLUMNS if name in known]
    return _existing(named, known) or next(iter(found), None) or _not_obvious("id", known)


def _label_column(named: str | None, known: list[str]) -> str:
    return _existing(named, known) or (LABEL if LABEL in known else _not_obvious("label", known))


def _existing(named: str | None, known: list[str]) -> str | None:
    if named is not None and named not in known:
        raise ColumnError(named, known)
    return named


def _not_obvious(what: str, known: list[str]) -> str:
    raise GuessError(what, f"--{what} COL", (), known)


@dataclass(slots=True)
class _Models:
    """The models that rows name, each looked up once."""

    database: Database
    given: RegisteredModel | None
    found: dict[str, RegisteredModel] = field(default_factory=dict)

    def named(self, reference: object) -> RegisteredModel:
        """The model of a reference, or the one that was given where there is none. Raises RejectedValue."""
        if reference is None or reference == "":
            if self.given is None:
                raise RejectedValue("no model is told; give --model for such rows")
            return self.given
        name = str(reference)
        if name not in self.found:
            self.found[name] = self._look_up(name)
        return self.found[name]

    def _look_up(self, name: str) -> RegisteredModel:
        try:
            with self.database.read() as connection:
                return find_model(connection, name)
        except UnknownModel as error:
            raise RejectedValue(str(error)) from None


def _read(records: Iterator[Record | Unreadable], reader: CorrectionReader, imported: Imported) -> list[ReadCorrection]:
    """What rows tell, one held at a time: each may be as long as rows may be."""
    told = []
    for record in records:
        imported.read += 1
        if isinstance(record, Unreadable):
            imported.refused.append(Refused(record.row, None, record.reason))
            continue
        try:
            told.append(reader.read(record))
        except RejectedValue as rejected:
            if rejected.flaw is Flaw.UNLABELLED:
                imported.unlabelled += 1
            else:
                external_id = record.values.get(reader.id)
                name = None if external_id is None else str(external_id)
                imported.refused.append(Refused(record.row, name, str(rejected)))
    return told


def _with_reviews(
    connection: Connection, told: Sequence[ReadCorrection], sources: Sequence[str], imported: Imported
) -> Iterator[NewCorrection]:
    """What was told of reviews that are there; the others are refused."""
    reviews = _look_up(connection, told, sources)
    for one in told:
        try:
            review_id = _review_of(one, reviews)
        except RejectedValue as rejected:
            imported.refused.append(Refused(one.row, one.external_id, str(rejected)))
        else:
            yield NewCorrection(review_id, one.model.id, one.annotator, one.label, one.corrected_at)


#: Reviews by the source that a row names, None for any, and by their external id.
_Reviews = dict[tuple[str | None, str], list[NamedReview]]


def _look_up(connection: Connection, told: Sequence[ReadCorrection], sources: Sequence[str]) -> _Reviews:
    wanted: dict[str | None, list[str]] = defaultdict(list)
    for one in told:
        wanted[one.source].append(one.external_id)
    found: _Reviews = defaultdict(list)
    for source, external_ids in wanted.items():
        for review in reviews_of(connection, sources if source is None else [source], external_ids):
            found[source, review.external_id].append(review)
    return found


def _review_of(one: ReadCorrection, reviews: _Reviews) -> int:
    """The id of the review that a row names: the very text that was looked at, or else the newest."""
    found = reviews.get((one.source, one.external_id), [])
    where = f" in {one.source}" if one.source else ""
    if not found:
        raise RejectedValue(f"no review has the id {one.external_id!r}{where}")
    if one.review_id is not None:
        if all(review.id != one.review_id for review in found):
            raise RejectedValue(f"review {one.review_id} is no text of {one.external_id!r}{where}")
        return one.review_id
    names = sorted({review.source for review in found})
    if len(names) > 1:
        more = f" and {len(names) - _SHOWN_SOURCES} more" if len(names) > _SHOWN_SOURCES else ""
        listed = ", ".join(names[:_SHOWN_SOURCES]) + more
        raise RejectedValue(f"{one.external_id!r} is in several sources, {listed}; give --source")
    return found[-1].id


def _sum(first: Stored, second: Stored) -> Stored:
    return Stored(**{name: count + getattr(second, name) for name, count in asdict(first).items()})
