"""Corrections: stored once a review, version and annotator, and found again."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, String, cast, func, select

from db.answers import answer_of
from db.clock import database_time
from db.dialect import insert, is_one_of
from db.tables import Correction, Job, Model, Prediction, Review

_Key = tuple[int, int, str]
#: In the order of FoundCorrection's fields.
_COLUMNS: list[Any] = [
    Correction.review_id,
    Review.source,
    Review.external_id,
    Model.name + "@" + cast(Model.version, String),
    Correction.predicted,
    Correction.label,
    Correction.annotator,
    Correction.corrected_at,
    Review.text,
    Review.text_pair,
]


class NewCorrection(NamedTuple):
    """What a person says of a review, by its id, and of which version's answer; without a time it is said now."""

    review_id: int
    model_id: int
    annotator: str
    label: str
    corrected_at: datetime | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of corrections: `outdated` are older than what their annotator says by now, and left out."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    outdated: int = 0


@dataclass(frozen=True, slots=True)
class CorrectionFilter:
    """Which corrections are wanted; every field narrows."""

    model_ids: Collection[int] | None = None
    since: datetime | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class FoundCorrection:
    """A correction with its review. `predicted` is what the version said, None where it said nothing."""

    review_id: int
    source: str
    external_id: str
    model: str
    predicted: str | None
    label: str
    annotator: str
    corrected_at: datetime
    text: str
    text_pair: str | None


class NamedReview(NamedTuple):
    """A review as a labelling tool names it."""

    id: int
    source: str
    external_id: str


def find_corrections(connection: Connection, wanted: CorrectionFilter) -> Iterator[FoundCorrection]:
    """The corrections that pass, streamed, the latest first."""
    statement = (
        select(*_COLUMNS)
        .join(Review, Review.id == Correction.review_id)
        .join(Model, Model.id == Correction.model_id)
        .order_by(Correction.corrected_at.desc(), Correction.review_id, Correction.model_id, Correction.annotator)
        .limit(wanted.limit)
    )
    found = connection.execution_options(yield_per=1_000).execute(narrowed(statement, connection, wanted))
    return (FoundCorrection(*row) for row in found)


def narrowed(statement: Select[Any], connection: Connection, wanted: CorrectionFilter) -> Select[Any]:
    """A select from corrections, of those that pass."""
    if wanted.model_ids is not None:
        statement = statement.where(is_one_of(connection, Correction.model_id, sorted(wanted.model_ids)))
    return statement if wanted.since is None else statement.where(Correction.corrected_at >= wanted.since)


def reviews_of(connection: Connection, sources: Sequence[str], external_ids: Sequence[str]) -> list[NamedReview]:
    """The reviews of those sources with one of those ids, the oldest first: of a changed text the newest is current."""
    found = connection.execute(
        select(Review.id, Review.source, Review.external_id)
        .where(Review.source.in_(sources), is_one_of(connection, Review.external_id, external_ids))
        .order_by(Review.id)
    )
    return [NamedReview(*row) for row in found]


def scored_sources(connection: Connection) -> list[str]:
    """The names of all sources that a job has scored, in order."""
    name = Job.params["source"].as_string()
    return list(
        connection.scalars(select(name).where(Job.kind == "score", name.is_not(None)).distinct().order_by(name))
    )


def store_corrections(connection: Connection, corrections: Sequence[NewCorrection]) -> Stored:
    """Store what is new, with what each version says of its review now.

    Of one annotator the latest counts, and what is said again changes nothing: the same corrections can be stored
    any number of times.
    """
    now = database_time(connection)
    current = _stored_labels(connection, {one.review_id for one in corrections})
    counts = dict.fromkeys(("new", "changed", "unchanged", "outdated"), 0)
    written: dict[_Key, NewCorrection] = {}
    for one in corrections:
        key, at = (one.review_id, one.model_id, one.annotator), one.corrected_at or now
        fate = _fate(one.label, at, current.get(key))
        counts[fate] += 1
        if fate in ("new", "changed"):
            current[key] = one.label, at
            written[key] = one._replace(corrected_at=at)
    _write(connection, list(written.values()))
    return Stored(**counts)


def _fate(label: str, at: datetime, current: tuple[str, datetime] | None) -> str:
    if current is None:
        return "new"
    if label == current[0]:
        return "unchanged"
    return "outdated" if at < current[1] else "changed"


def _stored_labels(connection: Connection, review_ids: Collection[int]) -> dict[_Key, tuple[str, datetime]]:
    found = connection.execute(
        select(
            Correction.review_id,
            Correction.model_id,
            Correction.annotator,
            Correction.label,
            Correction.corrected_at,
        ).where(is_one_of(connection, Correction.review_id, sorted(review_ids)))
    )
    return {(review_id, model_id, annotator): (label, at) for review_id, model_id, annotator, label, at in found}


def _write(connection: Connection, corrections: Sequence[NewCorrection]) -> None:
    if not corrections:
        return
    said = _said(connection, {one.review_id for one in corrections}, {one.model_id for one in corrections})
    statement = insert(connection, Correction)
    new = statement.excluded
    # Another import may store one of the same annotator meanwhile; and what a prune has deleted stays known.
    statement = statement.on_conflict_do_update(
        index_elements=[Correction.review_id, Correction.model_id, Correction.annotator],
        set_={
            "label": new.label,
            "predicted": func.coalesce(new.predicted, Correction.predicted),
            "corrected_at": new.corrected_at,
        },
        where=new.corrected_at >= Correction.corrected_at,
    )
    rows = [one._asdict() | {"predicted": said.get((one.review_id, one.model_id))} for one in corrections]
    # In one order, so that two imports cannot wait for each other.
    rows.sort(key=lambda row: (row["review_id"], row["model_id"], row["annotator"]))
    connection.execute(statement, rows)


def _said(
    connection: Connection, review_ids: Collection[int], model_ids: Collection[int]
) -> dict[tuple[int, int], str]:
    """What the versions say of the reviews, by both their ids."""
    found = connection.execute(
        select(
            Prediction.review_id, Prediction.model_id, Model.problem_type, Prediction.label, Prediction.probabilities
        )
        .join(Model, Model.id == Prediction.model_id)
        .where(is_one_of(connection, Prediction.review_id, sorted(review_ids)), Prediction.model_id.in_(model_ids))
    )
    return {(review_id, model_id): answer_of(*answer) for review_id, model_id, *answer in found}
