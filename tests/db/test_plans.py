"""Everyday questions are answered from indexes: the plans of the very statements that are run to answer them."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, func, select, text

from bench.filling import fill
from bench.plans import plans_of
from bench.questions import questions
from db.database import Database
from db.jobs import NewJob, create_job, job_status
from db.result_filters import ResultFilter
from db.results import Page, find_results, label_counts
from db.schema import upgrade
from db.tables import Base, Prediction

#: A job of every second review of the first ones, which job 1 has scored.
REUSING = 3
#: One of many reviews, of which any chunk may have any.
SCATTERED = 4
#: Enough that reading all of them is never the better plan.
REVIEWS = 50_000
PAGE, UNCERTAIN, COUNTS, PROGRESS = (
    "a page of one label above a probability",
    "uncertain 100",
    "counts by label for a job",
    "progress of a running job",
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind in turn, full, and only read by the tests."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'reviewmill.db'}"
    else:
        engine = create_engine(request.getfixturevalue("postgresql_server"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text("CREATE DATABASE plans"))
        url = engine.url.set(database="plans").render_as_string(hide_password=False)
        engine.dispose()
    database = Database(url)
    upgrade(database)
    fill(database, REVIEWS)
    with database.write() as connection:
        parts = [range(first, first + 2_000, 2) for first in range(1, 48_000, 2_000)]
        create_job(connection, NewJob("score", {}, parts, model_id=1))
        parts = [range(first, 48_001, 24) for first in range(1, 25)]
        create_job(connection, NewJob("score", {}, parts, model_id=1))
    yield database
    database.close()


def plan(database: Database, ask: Callable[[Connection], object]) -> str:
    return "\n".join(plans_of(database, ask))


def plan_of(database: Database, name: str) -> str:
    return plan(database, lambda connection: questions((1, 2))[name](connection, random.Random(7)))


def sorts(plan: str) -> bool:
    """Whether rows are sorted before the first comes: all that pass, or those that are equal so far."""
    return any(line in plan for line in ("Sort  (", "USE TEMP B-TREE"))


def gathers_ids(plan: str) -> bool:
    """Whether all ids of a job are gathered first."""
    return "LIST SUBQUERY" in plan or "Function Scan on jsonb_array_elements_text" in plan


def scans_predictions(plan: str) -> bool:
    return "SCAN predictions" in plan or "Scan on predictions" in plan


@pytest.mark.parametrize(
    ("name", "index"),
    [(PAGE, "ix_predictions_model_id_label_score_review_id"), (UNCERTAIN, "ix_predictions_model_id_margin_review_id")],
)
def test_a_page_is_read_from_the_index_in_its_order(filled: Database, name: str, index: str) -> None:
    found = plan_of(filled, name)
    assert index in found
    assert not scans_predictions(found), found
    assert not sorts(found), found


def test_the_next_page_is_too(filled: Database) -> None:
    wanted = ResultFilter(model_id=1, label="negative", min_probability=0.6, sort="-score")
    with filled.read() as connection:
        page = Page(connection, wanted, 20)
        first = [one.review_id for one in page]
    following = ResultFilter(
        model_id=1, label="negative", min_probability=0.6, sort="-score", limit=20, after=page.next
    )
    found = plan(filled, lambda connection: list(find_results(connection, following)))
    assert "ix_predictions_model_id_label_score_review_id" in found
    assert not scans_predictions(found), found
    assert not sorts(found), found
    with filled.read() as connection:
        assert not {one.review_id for one in find_results(connection, following)} & set(first)


@pytest.mark.parametrize("asked", [{"uncertain": 100}, {"limit": 20, "label": "neutral", "sort": "-score"}])
@pytest.mark.parametrize("current", [False, True])
def test_a_page_of_all_models_is_put_together_from_the_first_of_each(
    filled: Database, asked: dict[str, Any], current: bool
) -> None:
    wanted = ResultFilter(current=current, **asked)
    found = plan(filled, lambda connection: list(find_results(connection, wanted)))
    assert not scans_predictions(found), found
    with filled.read() as connection:
        everything = [*find_results(connection, replace(wanted, limit=None, uncertain=None, sort=wanted.order))]
        page = [*find_results(connection, wanted)]
        following = [*Page(connection, replace(wanted, after=_cursor(connection, wanted, 7)), 13)]
    assert [(one.review_id, one.model) for one in page] == [(one.review_id, one.model) for one in everything][
        : len(page)
    ]
    assert {one.model for one in everything} == {"large@1", "small@1"}
    assert page[7:20] == following


def _cursor(connection: Connection, wanted: ResultFilter, limit: int) -> str | None:
    page = Page(connection, wanted, limit)
    assert len(list(page)) == limit
    return page.next


PAGES = [
    {"limit": 20},
    {"limit": 20, "sort": "-id"},
    {"limit": 20, "label": "negative", "min_probability": 0.6, "sort": "-score"},
    {"limit": 20, "label": "neutral", "sort": "score"},
    {"limit": 20, "label": "negative", "min_probability": 0.6},
    {"uncertain": 100},
]


@pytest.mark.parametrize("asked", PAGES)
@pytest.mark.parametrize("job_id", [1, REUSING])
def test_a_page_of_a_large_job_does_not_gather_its_reviews(
    filled: Database, job_id: int, asked: dict[str, Any]
) -> None:
    wanted = ResultFilter(job_id=job_id, **asked)
    found = plan(filled, lambda connection: list(find_results(connection, wanted)))
    assert not scans_predictions(found), found
    assert not sorts(found), found
    assert not gathers_ids(found), found
    with filled.read() as connection:
        page = [one.review_id for one in find_results(connection, wanted)]
        everything = replace(wanted, limit=None, uncertain=None, sort=wanted.order)
        assert page == [one.review_id for one in find_results(connection, everything)][: len(page)]
    assert len(page) == asked.get("limit", asked.get("uncertain"))


@pytest.mark.parametrize(
    "asked",
    [{"job_id": 2, "limit": 20}, {"job_id": SCATTERED, "limit": 20}, {"job_id": 1}, {"job_id": 1, "text": ("answer",)}],
)
def test_ids_are_gathered_where_they_are_few_or_scattered_or_all_are_wanted(
    filled: Database, asked: dict[str, Any]
) -> None:
    wanted = ResultFilter(**asked)
    assert gathers_ids(plan(filled, lambda connection: list(find_results(connection, wanted))))


def test_few_of_one_label_are_sought_by_it_whatever_their_order(filled: Database) -> None:
    wanted = ResultFilter(model_id=1, label="negative", min_probability=0.99989, limit=20)
    found = plan(filled, lambda connection: list(find_results(connection, wanted)))
    assert found.count("ix_predictions_model_id_label_score_review_id") == (2 if filled.is_sqlite else 1), found


@pytest.mark.parametrize("name", [COUNTS, PROGRESS])
def test_what_a_job_came_to_is_told_without_its_predictions(filled: Database, name: str) -> None:
    assert "predictions" not in plan_of(filled, name)


def test_how_far_a_job_is_comes_from_an_index_of_its_chunks(filled: Database) -> None:
    found = plan(filled, lambda connection: job_status(connection, 1))
    if filled.is_sqlite:
        assert found.count("SEARCH chunks USING COVERING INDEX") == 4, found
    assert "SCAN chunks" not in found


def test_what_is_told_of_the_job_is_what_its_predictions_say(filled: Database) -> None:
    by_label = select(Prediction.label, func.count()).where(Prediction.job_id == 1).group_by(Prediction.label)
    with filled.read() as connection:
        assert label_counts(connection, 1) == dict(connection.execute(by_label).all())
        assert job_status(connection, 1).scored == REVIEWS * 49 // 50


def test_a_plan_without_the_index_is_told_apart(filled: Database) -> None:
    indexes = {index.name: index for index in Base.metadata.tables["predictions"].indexes}
    index = indexes["ix_predictions_model_id_margin_review_id"]
    with filled.write() as connection:
        index.drop(connection)
    # Connections keep the plans that they have told.
    filled.engine.dispose()
    try:
        found = plan_of(filled, UNCERTAIN)
        assert sorts(found), found
    finally:
        with filled.write() as connection:
            index.create(connection)
