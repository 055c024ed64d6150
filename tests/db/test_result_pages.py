"""Pages of results and of failures: cursors, what is stored between two pages, and what is refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from db.bounds import Bound, read_bound
from db.cursors import read_cursor, write_cursor
from db.database import Database
from db.errors import (
    BadCondition,
    BadCursor,
    BadFilter,
    DatabaseError,
    NotComparable,
    UnknownColumn,
    UnknownJob,
    UnknownLabel,
    UnknownSource,
)
from db.failures import FailureFilter, FailuresPage, count_failures
from db.jobs import NewJob, RejectedRow, create_job
from db.predictions import Scored, ScoreFailure, store_predictions, store_score_failures
from db.registry import RegisteredModel
from db.result_filters import ResultFilter
from db.result_groups import find_groups, read_groups
from db.results import Page, count_results, find_results
from db.reviews import store_reviews
from tests.answers import START, Stored, store_answers
from tests.samples import SomeReview, verdict


def store_scored(database: Database, model: RegisteredModel, names: str, positive: float = 0.75) -> None:
    """A review a letter, all with one probability."""
    with database.write() as connection:
        ids = store_reviews(connection, "f.csv", [SomeReview(name, f"text {name}") for name in names])
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        store_predictions(connection, model.id, [Scored(id_, job_id, verdict(positive)) for id_ in ids])


def page(database: Database, wanted: ResultFilter, limit: int) -> tuple[str, str | None]:
    with database.read() as connection:
        some = Page(connection, wanted, limit)
        return "".join(one.external_id for one in some), some.next


@pytest.mark.parametrize("sort", ["score", "-score", "margin", "external-id", "id"])
def test_what_is_stored_between_two_pages_displaces_nothing(
    database: Database, model: RegisteredModel, sort: str
) -> None:
    store_scored(database, model, "bcdf")
    wanted = ResultFilter(sort=sort)
    first, after = page(database, wanted, 2)
    # Before the page that was read, by every order: surer, less sure, and by name.
    for name, positive in (("a", 1.0), ("a", 0.5)):
        store_scored(database, model, name, positive)
    store_scored(database, model, "g")
    whole = page(database, wanted, 100)[0].replace("a", "")
    second, after = page(database, replace(wanted, after=after), 100)
    assert after is None
    assert (first + second.replace("a", "")).replace("g", "") == whole.replace("g", "")


def test_the_least_certain_are_as_many_in_pages(database: Database, model: RegisteredModel) -> None:
    store_scored(database, model, "abcdefg")
    wanted = ResultFilter(uncertain=5)
    first, after = page(database, wanted, 2)
    second, more = page(database, replace(wanted, after=after), 2)
    last, none = page(database, replace(wanted, after=more), 2)
    assert (first, second, last, none) == ("ab", "cd", "e", None)


def test_a_cursor_leads_on_in_its_own_question_only(database: Database, model: RegisteredModel) -> None:
    store_scored(database, model, "abcd")
    wanted = ResultFilter(model_id=model.id, sort="score")
    _, after = page(database, wanted, 2)
    assert after is not None
    assert len(after) < 60
    changed = after[:-3] + ("A" if after[-3] != "A" else "B") + after[-2:]
    for asked in (
        replace(wanted, sort="-score", after=after),
        replace(wanted, label="positive", after=after),
        replace(wanted, after=changed),
        replace(wanted, after="été"),
        replace(wanted, after=""),
        replace(wanted, after="x"),
    ):
        with pytest.raises(BadCursor, match="does not lead on here"):
            page(database, asked, 2)
    # How many rows a page has is no part of the question.
    assert page(database, replace(wanted, after=after), 1)[0] == "c"


def test_a_cursor_holds_any_position() -> None:
    for position in (["a 'b' \"c\" \u2028é", 1], [0.1 + 0.2, 2**62], [None, 1]):
        assert read_cursor("question", write_cursor("question", position)) == position  # type: ignore[arg-type]


FAILED = [
    RejectedRow(3, "r3", "no text"),
    RejectedRow(7, None, "no id"),
]


@pytest.fixture
def jobs(database: Database, model: RegisteredModel) -> tuple[int, int]:
    """One job with two refused rows and one failed review, and a fine-tuning job with a refused row."""
    with database.write() as connection:
        (review,) = store_reviews(connection, "f.csv", [SomeReview("r9", "text")])
        scoring, _ = create_job(connection, NewJob("score", {}, [[review]], model_id=model.id, rejected=FAILED))
        training, _ = create_job(connection, NewJob("finetune", {}, [[]], rejected=FAILED[:1]))
        store_score_failures(connection, scoring, [ScoreFailure(review, "r9", "out of memory")])
    return scoring, training


def failures(database: Database, wanted: FailureFilter) -> tuple[list[tuple[object, ...]], str | None]:
    with database.read() as connection:
        some = FailuresPage(connection, wanted)
        return [(one.job_id, one.row, one.external_id, one.stage, one.reason) for one in some], some.next


def test_failures_are_told_by_job_and_in_pages(database: Database, jobs: tuple[int, int]) -> None:
    scoring, training = jobs
    mine = [
        (scoring, 3, "r3", "read", "no text"),
        (scoring, 7, None, "read", "no id"),
        (scoring, None, "r9", "score", "out of memory"),
    ]
    everything = [*mine[:2], (training, 3, "r3", "read", "no text"), mine[2]]
    assert failures(database, FailureFilter()) == (everything, None)
    assert failures(database, FailureFilter(job_id=scoring)) == (mine, None)
    first, after = failures(database, FailureFilter(job_id=scoring, limit=2))
    rest, none = failures(database, FailureFilter(job_id=scoring, limit=2, after=after))
    assert (first + rest, none) == (mine, None)
    with pytest.raises(BadCursor):
        failures(database, FailureFilter(limit=2, after=after))
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    with database.read() as connection:
        assert count_failures(connection, FailureFilter(job_id=scoring)) == 3
        assert count_failures(connection, FailureFilter(since=now - hour, until=now + hour)) == 4
        assert count_failures(connection, FailureFilter(since=now + hour)) == 0
        assert count_failures(connection, FailureFilter(until=now - hour)) == 0
    with pytest.raises(UnknownJob, match=f"there is no job 99; the newest is {training}"):
        failures(database, FailureFilter(job_id=99))
    with pytest.raises(BadFilter, match="the time to begin with is not the earlier one"):
        failures(database, FailureFilter(since=now, until=now))


@pytest.fixture
def stored(database: Database) -> Stored:
    return store_answers(database, reviews=6)


REFUSED: list[tuple[dict[str, object], type[DatabaseError], str]] = [
    ({"label": "meh"}, UnknownLabel, "the label 'meh'; labels are: $.price, a/b~1, "),
    ({"label": "price.net", "model_id": 1}, UnknownLabel, "labels are: negative, positive"),
    ({"probabilities": (Bound("meh", ">", 0.5),)}, UnknownLabel, "labels are: "),
    ({"disagree": (1, 2), "label": "price.net"}, UnknownLabel, "labels are: negative, positive"),
    ({"job_id": 99}, UnknownJob, "there is no job 99; the newest is 5"),
    ({"source": "b.csv"}, UnknownSource, "sources are: 'a.csv', 'shop\\'s \"b\"'"),
    ({"sort": "loudness"}, BadFilter, "possible are: id, -id, external-id, "),
    ({"min_probability": 0.6, "max_probability": 0.5}, BadFilter, "at least 0.6 and at most 0.5"),
    ({"since": START, "until": START}, BadFilter, "the time to begin with is not the earlier one"),
    ({"text": ("great", " ")}, BadFilter, "the text to look for is empty"),
    ({"uncertain": 3, "sort": "score"}, BadFilter, "can not be sorted by score"),
    ({"uncertain": 3, "model_id": 5}, BadFilter, "predicts numbers, which have no margin"),
    ({"sort": "-margin", "model_id": 5}, BadFilter, "predicts numbers, which have no margin"),
    ({"disagree": (1, 1)}, NotComparable, "both models are old@1"),
    ({"disagree": (1, 3)}, NotComparable, "old@1 and topics@1 cannot be compared"),
    ({"disagree": (1, 2), "model_id": 3}, BadFilter, "topics@1 is neither old@1 nor new@1"),
    ({"probabilities": (Bound("positive", ">", 0.5), Bound("positive", "<=", 0.5))}, BadFilter, "is both positive>0.5"),
    ({"probabilities": tuple(Bound("été", *one) for one in ((">=", 0.1), ("<", 0.3), (">", 0.3)))}, BadFilter, "both"),
]


def test_what_can_not_be_asked_is_refused_however_it_is_asked(database: Database, stored: Stored) -> None:
    for fields, error, said in REFUSED:
        wanted = ResultFilter(**fields)  # type: ignore[arg-type]
        asking = [lambda one, wanted=wanted: list(find_results(one, wanted))]
        if "sort" not in fields and "uncertain" not in fields:
            asking.append(lambda one, wanted=wanted: count_results(one, wanted))
            asking.append(lambda one, wanted=wanted: list(find_groups(one, wanted, ["label"])))
        for ask in asking:
            with database.read() as connection, pytest.raises(error) as caught:
                ask(connection)
            assert said in str(caught.value)
            assert "\n" not in str(caught.value)


def test_groups_that_can_not_be_are_refused(database: Database, stored: Stored) -> None:
    with database.read() as connection:
        for written, said in (("label,brand", "by 'brand'; possible are: label, source"), ("day,day", "twice: day")):
            with pytest.raises(BadFilter, match=said):
                read_groups(connection, [written])
        with pytest.raises(UnknownColumn, match="'shop'; kept are: 'brand', 'shop, city', 'stars'"):
            read_groups(connection, ["metadata.shop"])
        assert read_groups(connection, ["metadata.shop, city", "day , label"]) == (
            "metadata.shop, city",
            "day",
            "label",
        )
        with pytest.raises(BadFilter, match="possible are: count, -count"):
            find_groups(connection, ResultFilter(sort="score"), ["label"])


def test_groups_are_sorted_as_asked(database: Database, stored: Stored) -> None:
    for sort, key, is_descending in (
        ("count", lambda one: one.count, False),
        ("-count", lambda one: one.count, True),
        ("probability", lambda one: one.mean_probability, False),
        ("-probability", lambda one: one.mean_probability, True),
        ("group", lambda one: one.values, False),
        ("-group", lambda one: one.values, True),
    ):
        with database.read() as connection:
            keys = [key(one) for one in find_groups(connection, ResultFilter(sort=sort), ["label"])]
        assert len(keys) > 5
        assert keys == sorted(keys, reverse=is_descending), sort


def test_a_job_is_asked_with_another_model_too(database: Database, stored: Stored) -> None:
    with database.read() as connection:
        found = [*find_results(connection, ResultFilter(job_id=1, model_id=4))]
    assert {one.model for one in found} == {"themes@1"}
    assert {one.review_id for one in found} <= stored.job_reviews[1]


@pytest.mark.parametrize(
    ("written", "bound"),
    [
        ("spam>=0.3", Bound("spam", ">=", 0.3)),
        ("a > b<.5", Bound("a > b", "<", 0.5)),
        ("a=b >1e-3", Bound("a=b ", ">", 0.001)),
        ("a<=b<=1", Bound("a<=b", "<=", 1.0)),
    ],
)
def test_bounds_are_read(written: str, bound: Bound) -> None:
    assert read_bound(written) == bound


@pytest.mark.parametrize("written", ["", "spam", "spam=0.5", ">=0.5", "spam>="])
def test_what_is_no_bound_is_refused(written: str) -> None:
    with pytest.raises(BadCondition, match="is no condition: write LABEL>=P"):
        read_bound(written)


@pytest.mark.parametrize("written", ["spam>=1.01", "spam<-0.1", "spam>nan", "spam>half", "spam<inf"])
def test_what_is_no_probability_is_refused(written: str) -> None:
    with pytest.raises(BadCondition, match="is no probability; write a number from 0 to 1"):
        read_bound(written)
