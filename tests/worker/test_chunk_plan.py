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


def test_new_texts_are_inferred_once() -> None:
    plan = plan_chunk([1, 2, 3], REVIEWS, {})
    assert [one.id for one in plan.to_infer] == [1, 2]
    assert (plan.scored, plan.reused, plan.failures) == (2, 1, [])
    verdicts = {"hash of good": verdict(0.9), "hash of bad": verdict(0.1)}
    assert [(id_, one.label) for id_, one in plan.predictions(verdicts)] == [
        (1, "positive"),
        (2, "negative"),
        (3, "positive"),
    ]


def test_what_the_model_said_of_this_review_is_not_written_again() -> None:
    known = {"hash of good": KnownVerdict(verdict(0.9), {1})}
    plan = plan_chunk([1, 2, 3], REVIEWS, known)
    assert [one.id for one in plan.to_infer] == [2]
    assert plan.reused == 2
    assert [id_ for id_, _ in plan.to_write] == [2, 3]


def test_a_repeated_row_and_a_deleted_review_are_counted() -> None:
    plan = plan_chunk([1, 1, 9], REVIEWS, {})
    assert (plan.scored, plan.reused, len(plan.failures)) == (1, 1, 1)
    assert "deleted" in plan.failures[0].reason


@given(
    st.lists(st.integers(1, 12), max_size=40),
    st.dictionaries(st.integers(1, 10), st.sampled_from(["a", "b", "c", "d"])),
    st.sets(st.sampled_from(["a", "b"])),
)
def test_the_books_always_balance(rows: list[int], texts: dict[int, str], known_texts: set[str]) -> None:
    reviews = {id_: review(id_, text) for id_, text in texts.items()}
    known = {f"hash of {text}": KnownVerdict(verdict(0.9), set()) for text in known_texts}
    plan = plan_chunk(rows, reviews, known)
    assert plan.scored + plan.reused + len(plan.failures) == len(rows)
    written = [id_ for id_, _ in plan.to_write]
    assert sorted(written) == sorted(set(rows) & set(reviews))
