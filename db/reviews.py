"""Reviews: what is scored."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, Select, bindparam, select, update

from db.bulk import BulkInsert, insert_rows
from db.deletion import lock_beside_deletions
from db.dialect import as_list, is_given, is_one_of
from db.tables import Review


class NewReview(Protocol):
    """What a producer hands over: one checked row of a source."""

    @property
    def external_id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def pair(self) -> str | None: ...
    @property
    def text_hash(self) -> str: ...
    @property
    def extra(self) -> Mapping[str, Any] | None: ...


class StoredReview(NamedTuple):
    """A review as a worker needs it."""

    id: int
    external_id: str
    text: str
    pair: str | None
    text_hash: str


_REVIEWS = BulkInsert(
    table=Review.__tablename__,
    columns=("source", "external_id", "text", "text_pair", "text_hash", "metadata"),
    clock="created_at",
    key=("source", "external_id", "text_hash"),
)
#: External id and text hash, of such a row.
_KEY = itemgetter(1, 4)


def store_reviews(connection: Connection, source: str, reviews: Sequence[NewReview]) -> list[int]:
    """Store those not stored yet and return every review's id, in the order given.

    Several producers may store the same reviews at once: each gets the same ids. What is kept beside a review that
    was stored before takes the newest values; other columns that it keeps stay.
    """
    # One that is found again must not go before its id is told.
    lock_beside_deletions(connection)
    rows = [(source, one.external_id, one.text, one.pair, one.text_hash, _json(one.extra)) for one in reviews]
    keys = [*map(_KEY, rows)]
    # In one order whatever the source's, so that two producers cannot wait for each other.
    order = sorted(range(len(rows)), key=keys.__getitem__)
    new_ids = insert_rows(connection, _REVIEWS, [rows[at] for at in order])
    if new_ids is None:
        ids = _ids(connection, source, rows)
        # Of a row that is repeated the last counts.
        newest = {ids[key]: one.extra for key, one in zip(keys, reviews, strict=True) if one.extra is not None}
        _keep_newest(connection, newest)
        return [ids[key] for key in keys]
    by_place = dict(zip(order, new_ids, strict=True))
    return [by_place[at] for at in range(len(rows))]


def _ids(connection: Connection, source: str, rows: Sequence[tuple[Any, ...]]) -> dict[tuple[str, str], int]:
    """The ids of reviews of a source, by external id and text hash; also of other texts under the same ids."""
    wanted = is_one_of(connection, Review.external_id, [row[1] for row in rows])
    found = connection.execute(
        select(Review.external_id, Review.text_hash, Review.id).where(Review.source == source, wanted)
    )
    return {(external_id, text_hash): id_ for external_id, text_hash, id_ in found}


def _keep_newest(connection: Connection, newest: Mapping[int, Mapping[str, Any]]) -> None:
    """Give reviews, by id, those values of columns that are kept."""
    if not newest:
        return
    mine = is_one_of(connection, Review.id, sorted(newest))
    stored = select(Review.id, Review.extra)
    outdated = [id_ for id_, extra in connection.execute(stored.where(mine)) if _merged(extra, newest[id_]) != extra]
    if not outdated:
        return
    # Read again under a lock, in order of id: another producer may keep other columns of the same reviews.
    locked = stored.where(is_one_of(connection, Review.id, outdated)).order_by(Review.id).with_for_update()
    changed = [{"kept_id": id_, "kept": _merged(extra, newest[id_])} for id_, extra in connection.execute(locked).all()]
    connection.execute(update(Review).where(Review.id == bindparam("kept_id")).values(extra=bindparam("kept")), changed)


def _merged(stored: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    return {**(stored or {}), **new}


def _json(extra: Mapping[str, Any] | None) -> str | None:
    return None if extra is None else json.dumps(extra)


def load_reviews(connection: Connection, ids: Sequence[int]) -> dict[int, StoredReview]:
    """The reviews with those ids, by id. One deleted meanwhile is absent."""
    found = connection.execute(_with_ids(connection.dialect.name), {"ids": as_list(ids)})
    return {row[0]: StoredReview._make(row) for row in found.all()}


@cache
def _with_ids(dialect: str) -> Select[int, str, str, str | None, str]:
    columns = Review.id, Review.external_id, Review.text, Review.text_pair, Review.text_hash
    return select(*columns).where(is_given(dialect, Review.id, "ids"))
