"""Reviews are found again by the columns that are kept beside them."""

import pytest

from db.database import Database
from db.errors import BadCondition, UnknownColumn
from db.jobs import NewJob, create_job
from db.kept import KEPT_COLUMNS, Condition, kept_columns, read_condition
from db.predictions import Scored, store_predictions
from db.registry import RegisteredModel
from db.results import ResultFilter, find_results
from db.reviews import store_reviews
from tests.samples import SomeReview, verdict

ODD = 'it\'s "odd" $.[0]'
KEPT: dict[str, dict[str, object] | None] = {
    "csv": {"shop": "north", "stars": "4", "when": "2024-03-01"},
    "jsonl": {"shop": "south", "stars": 5, "new": True, "mark": 4.5},
    "words": {"shop": "North", "stars": "many", "when": "2023-12-31", ODD: "yes"},
    "nulls": {"shop": None, "stars": "", "new": False, "mark": "4.50"},
    "large": {"stars": "1e400", "shop": "1,5"},
    "none": None,
}
COLUMNS = ["shop", "stars", "when", "new", "mark", ODD]


@pytest.fixture(autouse=True)
def _stored(database: Database, model: RegisteredModel) -> None:
    reviews = [SomeReview(name, f"text {name}", extra=extra) for name, extra in KEPT.items()]
    with database.write() as connection:
        ids = store_reviews(connection, "f", reviews)
        job_id, _ = create_job(connection, NewJob("score", {KEPT_COLUMNS: COLUMNS}, [ids], model_id=model.id))
        create_job(connection, NewJob("score", {KEPT_COLUMNS: ["shop", "also"]}, [ids], model_id=model.id))
        create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        store_predictions(connection, model.id, [Scored(id_, job_id, verdict(0.9)) for id_ in ids])


def found(database: Database, *written: str) -> list[str]:
    with database.read() as connection:
        where = tuple(map(read_condition, written))
        return [one.external_id for one in find_results(connection, ResultFilter(where=where))]


CONDITIONS = [
    ("shop=north", ["csv"]),
    ("shop!=north", ["jsonl", "words", "large"]),
    ("shop=", []),
    ("stars=", ["nulls"]),
    ("stars=5", ["jsonl"]),
    ("stars=4.0", ["csv"]),
    ("stars!=4", ["jsonl", "words", "nulls", "large"]),
    ("stars>=4", ["csv", "jsonl", "large"]),
    ("stars>4", ["jsonl", "large"]),
    ("stars<5", ["csv"]),
    ("stars<=1e300", ["csv", "jsonl"]),
    ("mark=4.5", ["jsonl", "nulls"]),
    ("new=true", ["jsonl"]),
    ("new!=true", ["nulls"]),
    ("when>=2024-01-01", ["csv"]),
    ("when<2024-01-01", ["words"]),
    ("shop>a", ["csv", "jsonl"]),
    (f"{ODD}=yes", ["words"]),
    ("shop='; DROP TABLE reviews", []),
]


def test_conditions_narrow(database: Database) -> None:
    for written, names in CONDITIONS:
        assert sorted(found(database, written)) == sorted(names), written


def test_several_conditions_all_hold(database: Database) -> None:
    assert found(database, "stars>3", "shop=south") == ["jsonl"]


def test_a_result_tells_what_is_kept(database: Database) -> None:
    with database.read() as connection:
        results = find_results(connection, ResultFilter())
        assert {one.external_id: one.metadata for one in results} == KEPT


def test_columns_that_are_kept_are_known(database: Database) -> None:
    with database.read() as connection:
        assert kept_columns(connection) == sorted([*COLUMNS, "also"])
    with pytest.raises(UnknownColumn) as caught:
        found(database, "shpo=north")
    assert str(caught.value).startswith("no job keeps a column 'shpo'; kept are: 'also', ")


@pytest.mark.parametrize(
    ("written", "condition"),
    [
        ("a=b=c", Condition("a", "=", "b=c")),
        ("a!=b", Condition("a", "!=", "b")),
        ("a>=1", Condition("a", ">=", "1")),
        ("a<\n", Condition("a", "<", "\n")),
    ],
)
def test_conditions_are_read(written: str, condition: Condition) -> None:
    assert read_condition(written) == condition


@pytest.mark.parametrize("written", ["", "shop", "=north"])
def test_what_is_no_condition_is_refused(written: str) -> None:
    with pytest.raises(BadCondition, match="is no condition: write COL=VALUE"):
        read_condition(written)
