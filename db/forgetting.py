"""Forgetting a review: everything that the database has of an external id, every revision of its text, at once.

All of a review goes in one transaction with what refers to it: rows of every table with a foreign key to `reviews`,
found from the tables themselves, rows that were refused under its id, and its place in chunks and among a model's
worst mistakes. In a chunk a 0 stands where it was: a row that was counted stays counted, and one still to be scored
becomes a failure. A chunk that is worked on is taken from its worker, which would write what is to be forgotten, and
done again without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from db.claims import take_back
from db.database import Database
from db.deletion import Account, columns_referring_to, lock_for_deletion
from db.dialect import is_one_of, lists_any_of
from db.errors import JobNotOver, UnknownReview
from db.jobs import FINAL_STATES
from db.tables import FORGOTTEN, Chunk, Example, Failure, Job, Model, Review

#: What takes the place of a reason that holds the text.
_REDACTED = "(it held the text of a review that was deleted)"
#: Shorter texts stand in reasons by chance.
_TELLING_CHARS = 12


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What is, or was, deleted by table; the sources it was in; and reviews under other ids with the same text."""

    account: Account
    sources: list[str]
    same_text: int


def plan_forgetting(database: Database, external_id: str, source: str | None = None) -> Forgotten:
    """What `forget` would delete. Raises UnknownReview, and JobNotOver where a training reads it."""
    with database.read() as connection:
        found = _Found(connection, external_id, source)
        chunks = found.chunks(connection, after=0)
        account = _count(connection, found, chunks)
        return Forgotten(account, found.sources, found.same_text(connection))


def forget(database: Database, external_id: str, source: str | None = None) -> Forgotten:
    """Delete everything, and return what was. Raises as the plan does, and then nothing was deleted."""
    with database.read() as connection:
        found = _Found(connection, external_id, source)
        # The long look at every chunk there is happens while nobody waits; those that come later are few.
        chunks = found.chunks(connection, after=0)
        last = connection.scalar(select(func.max(Chunk.id))) or 0
        quoting = found.quoting(connection)
        same_text = found.same_text(connection)
    with database.write() as connection:
        lock_for_deletion(connection)
        if database.is_sqlite:
            # Overwrites what is deleted; some builds of SQLite do so by themselves.
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        known = found.ids
        found = _Found(connection, external_id, source)
        # Only SQLite gives ids in the order of commits, and a revision that came in between may stand anywhere.
        is_known = database.is_sqlite and found.ids == known
        chunks = sorted({*chunks, *found.chunks(connection, after=last if is_known else 0)})
        account = _count(connection, found, chunks)
        _delete(connection, found, chunks)
        _redact(connection, quoting)
    return Forgotten(account, found.sources, same_text)


class _Found:
    """The reviews of an external id, and the failures of rows that bore it."""

    def __init__(self, connection: Connection, external_id: str, source: str | None) -> None:
        named = [Review.external_id == external_id, *([Review.source == source] if source is not None else [])]
        columns = (Review.id, Review.source, Review.text, Review.text_pair, Review.text_hash, Review.created_at)
        self.reviews = connection.execute(select(*columns).where(*named).order_by(Review.id)).all()
        self.ids: list[int] = [row.id for row in self.reviews]
        self.failures = self._failures(connection, external_id, source)
        self.sources = sorted({row.source for row in self.reviews})
        if not self.ids and not self.failures:
            raise _unknown(connection, external_id, source)
        _refuse_in_training(connection, self.ids)

    def _failures(self, connection: Connection, external_id: str, source: str | None) -> Sequence[Any]:
        refused = [Failure.external_id == external_id, Failure.review_id.is_(None)]
        if source is not None:
            refused.append(Job.params["source"].as_string() == source)
        mine = or_(and_(*refused), is_one_of(connection, Failure.review_id, self.ids))
        columns = (Failure.id, Failure.created_at, Failure.job_id)
        return connection.execute(select(*columns).join(Job, Job.id == Failure.job_id).where(mine)).all()

    def chunks(self, connection: Connection, after: int) -> list[int]:
        """The ids of chunks later than that one which list one of the reviews."""
        if not self.ids:
            return []
        listing = select(Chunk.id).where(Chunk.id > after, lists_any_of(connection, Chunk.review_ids, self.ids))
        return list(connection.scalars(listing.order_by(Chunk.id)))

    def same_text(self, connection: Connection) -> int:
        """How many reviews under other ids have one of the texts."""
        hashes = [row.text_hash for row in self.reviews]
        others = is_one_of(connection, Review.text_hash, hashes), ~is_one_of(connection, Review.id, self.ids)
        return connection.scalar(select(func.count()).select_from(Review).where(*others)) or 0

    def quoting(self, connection: Connection) -> dict[Any, list[int]]:
        """By column of reasons, the ids of rows whose reason holds one of the texts whole."""
        texts = {text for row in self.reviews for text in (row.text, row.text_pair) if text}
        telling = [text for text in texts if len(text) >= _TELLING_CHARS]
        if not telling:
            return {}
        return {
            reason: list(connection.scalars(select(reason.class_.id).where(or_(*map(_holds(reason), telling)))))
            for reason in (Failure.reason, Chunk.error, Job.error)
        }


def _holds(reason: Any) -> Callable[[str], ColumnElement[bool]]:
    return lambda text: reason.contains(text, autoescape=True)


def _unknown(connection: Connection, external_id: str, source: str | None) -> UnknownReview:
    if source is None:
        return UnknownReview(f"no review has the id {external_id!r}, and no row that was refused")
    named = select(Review.source).where(Review.external_id == external_id).distinct().order_by(Review.source)
    sources = list(connection.scalars(named))
    elsewhere = f"; it is in: {', '.join(sources)}" if sources else ", nor in any other source"
    return UnknownReview(f"no review of {source} has the id {external_id!r}{elsewhere}")


def _refuse_in_training(connection: Connection, ids: Sequence[int]) -> None:
    """Raise JobNotOver where a training that is not over has one of the reviews: it might learn it after all."""
    going = select(Job.id).join(Example, Example.job_id == Job.id).where(Job.state.not_in(FINAL_STATES))
    job_id = connection.scalar(going.where(is_one_of(connection, Example.review_id, ids)).limit(1))
    if job_id is not None:
        raise JobNotOver(
            f"job {job_id} is training on it; wait for that, or cancel it: reviewmill jobs cancel {job_id}"
        )


def _count(connection: Connection, found: _Found, chunks: Sequence[int]) -> Account:
    account = Account()
    reviews = account.of("reviews")
    reviews.add(len(found.reviews), [row.created_at for row in found.reviews])
    if found.reviews:
        text = found.reviews[-1].text
        reviews.example = f"of {found.reviews[-1].source}, {len(text):,} characters"
    account.of("failures").add(len(found.failures), [row.created_at for row in found.failures])
    for column in columns_referring_to(Review):
        if column.table is not Failure.__table__:
            counted = select(func.count()).select_from(column.table).where(is_one_of(connection, column, found.ids))
            account.of(column.table.name).add(connection.scalar(counted) or 0, [])
    account.of("chunks").add(len(chunks), [])
    account.of("models").add(len(_mistaken(connection, found.ids)), [])
    return account


def _delete(connection: Connection, found: _Found, chunk_ids: Sequence[int]) -> None:
    """Chunks first, in order of id, as workers lock them; then what refers to the reviews, then these."""
    _leave_chunks(connection, found, chunk_ids)
    connection.execute(delete(Failure).where(is_one_of(connection, Failure.id, [row.id for row in found.failures])))
    for column in columns_referring_to(Review):
        connection.execute(delete(column.table).where(is_one_of(connection, column, found.ids)))
    for model_id, metrics in _mistaken(connection, found.ids).items():
        connection.execute(update(Model).where(Model.id == model_id).values(metrics=metrics))
    connection.execute(delete(Review).where(is_one_of(connection, Review.id, found.ids)))


def _redact(connection: Connection, quoting: Mapping[Any, Sequence[int]]) -> None:
    for reason, ids in quoting.items():
        mine = is_one_of(connection, reason.class_.id, ids)
        connection.execute(update(reason.class_).where(mine).values({reason.key: _REDACTED}))


def _leave_chunks(connection: Connection, found: _Found, chunk_ids: Sequence[int]) -> None:
    take_back(connection, chunk_ids)
    mine, gone = is_one_of(connection, Chunk.id, chunk_ids), set(found.ids)
    for id_, ids in connection.execute(select(Chunk.id, Chunk.review_ids).where(mine).order_by(Chunk.id)).all():
        left = [FORGOTTEN if one in gone else one for one in ids]
        connection.execute(update(Chunk).where(Chunk.id == id_).values(review_ids=left))


def _mistaken(connection: Connection, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The metrics of the models that list one of the reviews among their mistakes, by id, without those."""
    gone, changed = set(ids), {}
    for model_id, metrics in connection.execute(select(Model.id, Model.metrics)):
        evaluation = metrics.get("evaluation") or {}
        mistakes = evaluation.get("mistakes", [])
        left = [one for one in mistakes if one["review_id"] not in gone]
        if left != mistakes:
            changed[model_id] = {**metrics, "evaluation": {**evaluation, "mistakes": left}}
    return changed
