"""Reviews: what is scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, select

from db.dialect import insert, is_one_of
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


@dataclass(frozen=True, slots=True)
class StoredReview:
    """A review as a worker needs it."""

    id: int
    external_id: str
    text: str
    pair: str | None
    text_hash: str


def store_reviews(connection: Connection, source: str, reviews: Sequence[NewReview]) -> list[int]:
    """Store those not stored yet and return every review's id, in the order given.

    Several producers may store the same reviews at once: each gets the same ids.
    """
    rows = [
        {
            "source": source,
            "external_id": review.external_id,
            "text": review.text,
            "text_pair": review.pair,
            "text_hash": review.text_hash,
        }
        # In one order whatever the source's, so that two producers cannot wait for each other.
        for review in sorted(reviews, key=lambda review: (review.external_id, review.text_hash))
    ]
    if rows:
        connection.execute(insert(connection, Review).on_conflict_do_nothing(), rows)
    wanted = is_one_of(connection, Review.external_id, [review.external_id for review in reviews])
    found = connection.execute(
        select(Review.external_id, Review.text_hash, Review.id).where(Review.source == source, wanted)
    )
    ids = {(external_id, text_hash): id_ for external_id, text_hash, id_ in found}
    return [ids[review.external_id, review.text_hash] for review in reviews]


def load_reviews(connection: Connection, ids: Sequence[int]) -> dict[int, StoredReview]:
    """The reviews with those ids, by id. One deleted meanwhile is absent."""
    found = connection.execute(
        select(Review.id, Review.external_id, Review.text, Review.text_pair, Review.text_hash).where(
            is_one_of(connection, Review.id, ids)
        )
    )
    return {row.id: StoredReview(*row) for row in found}
