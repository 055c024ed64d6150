"""Names and values that try to break out of SQL are names and values, wherever a person may write them."""

import pytest

from db.database import Database
from db.jobs import NewJob, create_job
from db.kept import KEPT_COLUMNS, Condition
from db.predictions import Scored, store_predictions
from db.registry import RegisteredModel
from db.result_groups import find_groups, read_groups
from db.results import ResultFilter, count_results, find_results
from db.reviews import store_reviews
from tests.samples import SomeReview, verdict

HOSTILE = (
    "x' OR '1'='1",
    'x" OR "1"="1',
    "x'); DELETE FROM reviews; --",
    '$."x"\'); DROP TABLE reviews; --',
    "{x,y}'::text[]; SELECT pg_sleep(9); --",
    "x' UNION SELECT path FROM models --",
    "%' OR TRUE OR text LIKE '%",
    ":param %(param)s ? $1 ${HOME}",
    "x/*",
    "x\\",
    "x]",
)


@pytest.fixture(autouse=True)
def _stored(database: Database, model: RegisteredModel) -> None:
    """A review for each, of a source, a text and a kept column's name and value so called."""
    for hostile in HOSTILE:
        review = SomeReview(hostile, f"text {hostile}", extra={hostile: hostile})
        params = {KEPT_COLUMNS: [hostile]}
        with database.write() as connection:
            ids = store_reviews(connection, hostile, [review])
            job_id, _ = create_job(connection, NewJob("score", params, [ids], model_id=model.id))
            store_predictions(connection, model.id, [Scored(id_, job_id, verdict(0.9)) for id_ in ids])


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_written_in_a_filter_stays_a_value(database: Database, hostile: str) -> None:
    for wanted in (
        ResultFilter(where=(Condition(hostile, "=", hostile),)),
        ResultFilter(where=(Condition(hostile, ">=", hostile),)),
        ResultFilter(text=(hostile,)),
        ResultFilter(source=hostile),
    ):
        with database.read() as connection:
            assert [one.external_id for one in find_results(connection, wanted)] == [hostile], wanted
    with database.read() as connection:
        by_column = read_groups(connection, [f"metadata.{hostile}"])
        groups = {group.values[0]: group.count for group in find_groups(connection, ResultFilter(), by_column)}
        assert groups == {hostile: 1, None: len(HOSTILE) - 1}
        assert count_results(connection, ResultFilter()) == len(HOSTILE)
