"""Views find one review, and what one model says, by an index: a large database is not read through for them."""

import re

import pytest
from sqlalchemy import text

from db.database import Database
from tests.db.planted import plant

#: Each with a condition that an index can tell.
NARROW = (
    "SELECT * FROM latest_predictions WHERE review_id = 7",
    "SELECT * FROM latest_predictions WHERE source = 'shop.csv' AND external_id = '1007'",
    "SELECT * FROM latest_predictions WHERE model_id = 1",
    "SELECT * FROM latest_predictions WHERE model_id = 1 AND label = 'negative' AND score > 0.9",
    "SELECT * FROM latest_predictions WHERE model_id = 1 ORDER BY margin LIMIT 3",
    "SELECT * FROM job_summary WHERE job_id = 1",
    "SELECT * FROM job_summary",
    "SELECT * FROM label_by_day WHERE model_id = 1",
    "SELECT * FROM model_disagreements WHERE review_id = 7",
    "SELECT * FROM model_disagreements WHERE source = 'shop.csv' AND external_id = '1007'",
    "SELECT * FROM model_disagreements WHERE model_a_id = 1",
    "SELECT * FROM model_disagreements WHERE model_b_id = 2",
)
#: What a plan says of a table of many rows that is read through: predictions and reviews by any of their names.
READ_THROUGH = re.compile(
    r"SCAN (?:p|r|a|b|other|newer)\b"
    r"|Seq Scan on (?:predictions|reviews)"
)


def plan(database: Database, query: str) -> str:
    with database.read() as connection:
        if database.is_sqlite:
            return "\n".join(row[-1] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}")))
        # Tables as small as these are read through, unless that is made dear.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        return "\n".join(connection.execute(text(f"EXPLAIN {query}")).scalars())


@pytest.mark.parametrize("query", NARROW)
def test_a_review_and_a_model_are_found_by_an_index(database: Database, query: str) -> None:
    plant(database)
    assert not READ_THROUGH.search(plan(database, query)), plan(database, query)


def test_a_plan_tells_of_a_table_that_is_read_through(database: Database) -> None:
    assert READ_THROUGH.search(plan(database, "SELECT * FROM predictions AS p"))
