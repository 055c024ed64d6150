"""Reviews are stored once and found again."""

from sqlalchemy import func, select

from db.database import Database
from db.reviews import load_reviews, store_reviews
from db.tables import Review
from tests.samples import SomeReview


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(Review))


def store(database: Database, source: str, *reviews: SomeReview) -> list[int]:
    with database.write() as connection:
        return store_reviews(connection, source, reviews)


def test_the_same_reviews_again_are_the_same_rows(database: Database) -> None:
    reviews = [SomeReview(str(number), f"text {number}") for number in range(3_000)]
    first = store(database, "file.csv", *reviews)
    assert store(database, "file.csv", *reversed(reviews)) == first[::-1]
    assert count(database) == len(set(first)) == 3_000


def test_a_changed_text_and_another_source_are_new_rows(database: Database) -> None:
    (old,) = store(database, "file.csv", SomeReview("1", "good"))
    (changed,) = store(database, "file.csv", SomeReview("1", "bad"))
    (elsewhere,) = store(database, "other.csv", SomeReview("1", "good"))
    assert len({old, changed, elsewhere}) == 3
    assert changed > old


def test_a_row_repeated_in_one_batch_has_one_id(database: Database) -> None:
    first, second, other = store(
        database, "file.csv", SomeReview("1", "good"), SomeReview("1", "good"), SomeReview("2", "good")
    )
    assert first == second != other


def test_any_text_comes_back_as_it_went_in(database: Database) -> None:
    texts = [
        "👍🏽 emoji",
        "עברית مرحبا",
        "line\nbreak\ttab",
        "'quote'; DROP TABLE reviews",
        "\u200f\ufeff",
        "x" * 100_000,
    ]
    reviews = [SomeReview(f"id {text[:20]}", text, pair=text[::-1]) for text in texts]
    ids = store(database, "file.csv", *reviews)
    with database.read() as connection:
        stored = load_reviews(connection, ids)
    assert [(stored[id_].text, stored[id_].pair) for id_ in ids] == [(one.text, one.pair) for one in reviews]


def test_a_review_that_is_gone_is_absent(database: Database) -> None:
    (id_,) = store(database, "file.csv", SomeReview("1", "good"))
    with database.read() as connection:
        assert set(load_reviews(connection, [id_, 999])) == {id_}
        assert load_reviews(connection, []) == {}


def kept(database: Database) -> dict[str, object]:
    with database.read() as connection:
        return dict(connection.execute(select(Review.external_id, Review.extra)).all())


def test_what_is_kept_beside_a_review_comes_back(database: Database) -> None:
    values = {
        "shop": "north \N{GRINNING FACE}",
        "stars": 4,
        "mark": 4.5,
        "new": True,
        "none": None,
        "tags": ["a", {"b": 1}],
    }
    store(database, "file.csv", SomeReview("1", "good", extra=values), SomeReview("2", "bad"))
    assert kept(database) == {"1": values, "2": None}


def test_a_review_stored_before_takes_the_newest_values_and_keeps_its_others(database: Database) -> None:
    (first,) = store(database, "file.csv", SomeReview("1", "good", extra={"shop": "north", "stars": "4"}))
    (again,) = store(database, "file.csv", SomeReview("1", "good", extra={"shop": "south", "country": None}))
    store(database, "file.csv", SomeReview("1", "good"))
    assert again == first
    assert kept(database) == {"1": {"shop": "south", "stars": "4", "country": None}}


def test_of_a_repeated_row_the_last_values_are_kept(database: Database) -> None:
    rows = [SomeReview("1", "good", extra={"shop": shop}) for shop in ("north", "south")]
    first, second = store(database, "file.csv", *rows)
    assert first == second
    assert kept(database) == {"1": {"shop": "south"}}


def test_a_review_first_stored_without_columns_gets_them_later(database: Database) -> None:
    store(database, "file.csv", SomeReview("1", "good"), SomeReview("2", "bad"))
    store(database, "file.csv", SomeReview("3", "new", extra={"a": "x"}), SomeReview("1", "good", extra={"a": "y"}))
    assert kept(database) == {"1": {"a": "y"}, "2": None, "3": {"a": "x"}}
