"""Whatever is asked of the results is what Python finds by looking at each, on both databases."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.bounds import Bound
from db.database import Database
from db.errors import BadFilter, UnknownLabel
from db.kept import Condition
from db.result_filters import ResultFilter
from db.result_groups import Group, find_groups, read_groups
from db.result_order import SORTS
from db.results import Page, Result, count_results, find_results
from tests.answers import COMPARISONS, SENTIMENT, START, TOPICS, Stored, store_answers

LOOKED_FOR = (
    "great",
    "SLOW",
    "100%",
    "r_s",
    "rgs",
    "été",
    "É",
    "\\",
    "*ck [X]?",
    'a "QUOTE"',
    "o'clock\nin",
    "nothing",
)
MOMENTS = st.integers(-1, 29 * 3).map(lambda thirds: START + timedelta(hours=8 * thirds))
SIXTEENTHS = st.integers(0, 16).map(lambda number: number / 16)
BOUNDS = st.builds(Bound, st.sampled_from((*SENTIMENT, *TOPICS)), st.sampled_from([*COMPARISONS]), SIXTEENTHS)
MODELS = st.integers(1, 5)


@st.composite
def filters(draw: st.DrawFn) -> ResultFilter:
    """Any few of the filters together, of which most pass something."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "job_id": st.integers(1, 5),
        "model_id": MODELS,
        "label": st.sampled_from((*SENTIMENT, *TOPICS, "stars")),
        "min_probability": SIXTEENTHS,
        "max_probability": SIXTEENTHS,
        "probabilities": st.lists(BOUNDS, min_size=1, max_size=2).map(tuple),
        "since": MOMENTS,
        "until": MOMENTS,
        "text": st.lists(st.sampled_from(LOOKED_FOR), min_size=1, max_size=2).map(tuple),
        "source": st.sampled_from(("a.csv", 'shop\'s "b"')),
        "where": st.sampled_from(((Condition("brand", "=", "Acme"),), (Condition("shop, city", "=", "north, A"),))),
        "disagree": st.sampled_from(((1, 2), (2, 1), (3, 4))),
        "current": st.just(True),
        "uncertain": st.integers(1, 30),
        "sort": st.sampled_from(SORTS),
    }
    names = draw(st.sets(st.sampled_from(sorted(fields)), max_size=4))
    if "uncertain" in names:
        names -= {"sort"}
    return ResultFilter(**{name: draw(fields[name]) for name in sorted(names)})


def answered(database: Database, wanted: ResultFilter) -> list[Result] | None:
    """What is found, or None for what is refused."""
    try:
        with database.read() as connection:
            return list(find_results(connection, wanted))
    except (BadFilter, UnknownLabel):
        return None


def pages(database: Database, wanted: ResultFilter, size: int) -> Iterator[list[Result]]:
    after = None
    while True:
        with database.read() as connection:
            page = Page(connection, replace(wanted, after=after), size)
            yield list(page)
        if page.next is None:
            return
        after = page.next


@pytest.fixture
def stored(database: Database) -> Stored:
    return store_answers(database)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters(), size=st.integers(1, 40))
def test_filters_together_find_what_python_finds(
    database: Database, stored: Stored, wanted: ResultFilter, size: int
) -> None:
    found = answered(database, wanted)
    expected = stored.passing(wanted)
    if found is None:
        assert not expected
        return
    assert found == expected
    laid_together = [*pages(database, wanted, size)]
    assert [one for page in laid_together for one in page] == expected
    assert {len(page) for page in laid_together[:-1]} <= {size}
    assert all(laid_together) or not expected
    unsorted = replace(wanted, uncertain=None, sort=None)
    with database.read() as connection:
        assert count_results(connection, unsorted) == len(stored.passing(unsorted))


def test_words_are_looked_for_as_they_stand(database: Database, stored: Stored) -> None:
    for words in LOOKED_FOR:
        wanted = ResultFilter(text=(words,))
        expected = stored.passing(wanted)
        assert answered(database, wanted) == expected, words
        assert (0 < len(expected) < len(stored.rows)) == (words != "nothing"), words


KEYS: dict[str, Callable[[Result], Any]] = {
    "label": lambda row: row.label,
    "source": lambda row: row.source,
    "model": lambda row: row.model,
    "day": lambda row: f"{row.scored_at:%Y-%m-%d}",
    "week": lambda row: f"{row.scored_at:%G-W%V}",
    "month": lambda row: f"{row.scored_at:%Y-%m}",
    "metadata.brand": lambda row: (row.metadata or {}).get("brand"),
    "metadata.shop, city": lambda row: (row.metadata or {}).get("shop, city"),
}


def grouped(rows: list[Result], groups: list[str]) -> list[Group]:
    """By what they are grouped by, a missing value last."""
    scores = defaultdict(list)
    for row in rows:
        scores[tuple(KEYS[name](row) for name in groups)].append(row.score)
    return [
        Group(key, len(values), pytest.approx(sum(values) / len(values)), pytest.approx(len(values) / len(rows)))
        for key, values in sorted(scores.items(), key=lambda item: [(value is None, value or "") for value in item[0]])
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=filters(), groups=st.lists(st.sampled_from([*KEYS]), min_size=1, max_size=3, unique=True))
def test_groups_are_those_that_python_counts(
    database: Database, stored: Stored, wanted: ResultFilter, groups: list[str]
) -> None:
    wanted = replace(wanted, uncertain=None, sort=None)
    if answered(database, wanted) is None:
        return
    expected = grouped(stored.passing(wanted), groups)
    with database.read() as connection:
        assert read_groups(connection, groups) == tuple(groups)
        assert [*find_groups(connection, replace(wanted, sort="group"), groups)] == expected
        default = [*find_groups(connection, wanted, groups)]
        if not {"day", "week", "month"} & set(groups):
            expected.sort(key=lambda group: -group.count)
        assert default == expected
        assert [*find_groups(connection, replace(wanted, limit=2), groups)] == expected[:2]
