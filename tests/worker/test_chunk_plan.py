"""The plan infers each text once, and the books count each row once, chunk by chunk."""

from hypothesis import given
from hypothesis import strategies as st

from db.predictions import KnownVerdict
from db.reviews import StoredReview
from tests.samples import verdict
from worker.chunk_plan import Answers, Books, Outcome, Plan


def review(id_: int, text: str) -> StoredReview:
    return StoredReview(id_, f"r{id_}", text, None, f"hash of {text}")


REVIEWS = {1: review(1, "good"), 2: review(2, "bad"), 3: review(3, "good")}
VERDICTS = {"hash of good": verdict(0.9), "hash of bad": verdict(0.1)}


def outcomes(plan: Plan, *chunks: list[int], reasons: dict[str, str] | None = None) -> list[Outcome]:
    books = Books(plan, Answers(VERDICTS, reasons or {}))
    return [books.count(chunk) for chunk in chunks]


def test_new_texts_are_inferred_once() -> None:
    plan = Plan(REVIEWS, {})
    assert [one.id for one in plan.to_infer] == [1, 2]
    (outcome,) = outcomes(plan, [1, 2, 3])
    assert (outcome.scored, outcome.reused, outcome.failures) == (2, 1, [])
    assert outcome.texts == ["hash of good", "hash of bad"]
    assert [(id_, one.label) for id_, one in outcome.predictions] == [
        (1, "positive"),
        (2, "negative"),
        (3, "positive"),
    ]


def test_what_the_model_said_of_this_review_is_not_written_again() -> None:
    plan = Plan(REVIEWS, {"hash of good": KnownVerdict(verdict(0.9), {1})})
    assert [one.id for one in plan.to_infer] == [2]
    (outcome,) = outcomes(plan, [1, 2, 3])
    assert (outcome.scored, outcome.reused, outcome.texts) == (1, 2, ["hash of bad"])
    assert [id_ for id_, _ in outcome.predictions] == [2, 3]


def test_a_repeated_row_and_a_deleted_review_are_counted() -> None:
    (outcome,) = outcomes(Plan(REVIEWS, {}), [1, 1, 9])
    assert (outcome.scored, outcome.reused, len(outcome.failures), len(outcome.predictions)) == (1, 1, 1, 1)
    assert "deleted" in outcome.failures[0].reason


def test_a_text_that_fails_fails_every_row_that_has_it_and_is_charged_to_the_first() -> None:
    reasons = {"hash of good": "the model sneezed"}
    first, second = outcomes(Plan(REVIEWS, {}), [1, 2], [3, 1], reasons=reasons)
    assert [(one.scored, one.reused) for one in (first, second)] == [(1, 0), (0, 0)]
    assert [one.review_id for one in first.failures] == [1]
    assert [(one.review_id, one.external_id) for one in second.failures] == [(3, "r3"), (1, "r1")]
    assert {one.reason for one in first.failures + second.failures} == {"the model sneezed"}
    assert [id_ for id_, _ in first.predictions + second.predictions] == [2]
    assert (first.texts, second.texts) == (["hash of good", "hash of bad"], [])


def test_a_review_of_two_chunks_is_scored_for_the_first_and_reused_by_the_second() -> None:
    first, second = outcomes(Plan(REVIEWS, {}), [1, 2], [1, 3])
    assert [(one.scored, one.reused) for one in (first, second)] == [(2, 0), (0, 2)]
    assert [[id_ for id_, _ in one.predictions] for one in (first, second)] == [[1, 2], [3]]


@given(
    st.lists(st.lists(st.integers(1, 12), max_size=20), max_size=4),
    st.dictionaries(st.integers(1, 10), st.sampled_from(["a", "b", "c", "d"])),
    st.sets(st.sampled_from(["a", "b"])),
    st.sets(st.sampled_from(["c", "d"])),
)
def test_the_books_always_balance(
    chunks: list[list[int]], texts: dict[int, str], known_texts: set[str], poison: set[str]
) -> None:
    reviews = {id_: review(id_, text) for id_, text in texts.items()}
    plan = Plan(reviews, {f"hash of {text}": KnownVerdict(verdict(0.9), set()) for text in known_texts})
    verdicts = {f"hash of {text}": verdict(0.9) for text in {"a", "b", "c", "d"} - poison}
    books = Books(plan, Answers(verdicts, {f"hash of {text}": "it fails" for text in poison}))
    counted = [books.count(chunk) for chunk in chunks]
    for chunk, one in zip(chunks, counted, strict=True):
        assert one.scored + one.reused + len(one.failures) == len(chunk)
    rows = [id_ for chunk in chunks for id_ in chunk]
    written = [id_ for one in counted for id_, _ in one.predictions]
    assert sorted(written) == sorted(id_ for id_ in set(rows) & set(reviews) if texts[id_] not in poison)
    charged = [text for one in counted for text in one.texts]
    assert sorted(charged) == sorted({reviews[id_].text_hash for id_ in rows if id_ in reviews} - set(plan.known))
