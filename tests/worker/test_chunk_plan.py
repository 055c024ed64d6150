"""A chunk's plan infers each text once and counts each row once."""

from hypothesis import given
from hypothesis import strategies as st

from db.predictions import KnownVerdict
from db.reviews import StoredReview
from tests.samples import verdict
from worker.chunk_plan import plan_chunk


def review(id_: int, text: str) -> StoredReview:
    return StoredReview(id_, f"r{id_}", text, None, f"hash of {text}")


REVIEWS = {1: review(1, "good"), 2: review(2, "bad"), 3: review(3, "good")}


VERDICTS = {"hash of good": verdict(0.9), "hash of bad": verdict(0.1)}


def test_new_texts_are_inferred_once() -> None:
    plan = plan_chunk([1, 2, 3], REVIEWS, {})
    assert [one.id for one in plan.to_infer] == [1, 2]
    outcome = plan.outcome(VERDICTS, {})
    assert (outcome.scored, outcome.reused, outcome.failures) == (2, 1, [])
    assert [(id_, one.label) for id_, one in outcome.predictions] == [
        (1, "positive"),
        (2, "negative"),
        (3, "positive"),
    ]


def test_what_the_model_said_of_this_review_is_not_written_again() -> None:
    known = {"hash of good": KnownVerdict(verdict(0.9), {1})}
    plan = plan_chunk([1, 2, 3], REVIEWS, known)
    assert [one.id for one in plan.to_infer] == [2]
    outcome = plan.outcome(VERDICTS, {})
    assert outcome.reused == 2
    assert [id_ for id_, _ in outcome.predictions] == [2, 3]


def test_a_repeated_row_and_a_deleted_review_are_counted() -> None:
    outcome = plan_chunk([1, 1, 9], REVIEWS, {}).outcome(VERDICTS, {})
    assert (outcome.scored, outcome.reused, len(outcome.failures), len(outcome.predictions)) == (1, 1, 1, 1)
    assert "deleted" in outcome.failures[0].reason


def test_a_text_that_fails_fails_every_row_that_has_it() -> None:
    outcome = plan_chunk([1, 2, 3, 1], REVIEWS, {}).outcome(VERDICTS, {"hash of good": "the model sneezed"})
    assert (outcome.scored, outcome.reused) == (1, 0)
    assert [(one.review_id, one.external_id) for one in outcome.failures] == [(1, "r1"), (3, "r3"), (1, "r1")]
    assert {one.reason for one in outcome.failures} == {"the model sneezed"}
    assert [id_ for id_, _ in outcome.predictions] == [2]


@given(
    st.lists(st.integers(1, 12), max_size=40),
    st.dictionaries(st.integers(1, 10), st.sampled_from(["a", "b", "c", "d"])),
    st.sets(st.sampled_from(["a", "b"])),
    st.sets(st.sampled_from(["c", "d"])),
)
def test_the_books_always_balance(
    rows: list[int], texts: dict[int, str], known_texts: set[str], poison: set[str]
) -> None:
    reviews = {id_: review(id_, text) for id_, text in texts.items()}
    known = {f"hash of {text}": KnownVerdict(verdict(0.9), set()) for text in known_texts}
    plan = plan_chunk(rows, reviews, known)
    verdicts = {f"hash of {text}": verdict(0.9) for text in {"a", "b", "c", "d"} - poison}
    outcome = plan.outcome(verdicts, {f"hash of {text}": "it fails" for text in poison})
    assert outcome.scored + outcome.reused + len(outcome.failures) == len(rows)
    written = [id_ for id_, _ in outcome.predictions]
    assert sorted(written) == sorted(id_ for id_ in set(rows) & set(reviews) if texts[id_] not in poison)
