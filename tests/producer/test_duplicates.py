"""Every text has one label and stands in one split."""

from statistics import mean

import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from producer.duplicates import keep_apart, unique_texts
from producer.intake import LabelledText


def rows(*labelled: tuple[str, str | None]) -> list[LabelledText]:
    """Rows of (text's hash, label); the review id is the row's number."""
    return [LabelledText(text_hash, row, label) for row, (text_hash, label) in enumerate(labelled)]


def test_a_repeated_text_is_one_example() -> None:
    found = unique_texts(rows(("a", "x"), ("b", "y"), ("a", "x"), ("a", "x")), SINGLE_LABEL)
    assert found.texts == {"a": LabelledText("a", 0, "x"), "b": LabelledText("b", 1, "y")}
    assert (found.repeats, found.settled, found.ties) == (2, 0, 0)


def test_rows_without_a_label_have_no_say() -> None:
    found = unique_texts(rows(("a", None), ("a", "x"), ("a", None), ("b", None), ("b", None), ("c", "x")), SINGLE_LABEL)
    assert {text: one.label for text, one in found.texts.items()} == {"a": "x", "b": None, "c": "x"}
    assert (found.repeats, found.settled, found.ties) == (3, 0, 0)


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL])
def test_most_rows_decide_on_a_text_s_label_and_a_tie_leaves_it_out(problem_type: str) -> None:
    labelled = rows(("a", "x"), ("a", "y"), ("a", "y"), ("b", "x"), ("b", "y"), ("c", "x"))
    found = unique_texts(labelled, problem_type)
    assert {text: one.label for text, one in found.texts.items()} == {"a": "y", "c": "x"}
    assert (found.repeats, found.settled, found.ties) == (3, 1, 1)
    assert len(labelled) == len(found.texts) + found.repeats + found.ties


def test_in_a_regression_the_mean_decides() -> None:
    found = unique_texts(rows(("a", "1.0"), ("a", "2.0"), ("a", "2.5"), ("b", "0.1"), ("b", "0.1")), REGRESSION)
    assert found.texts["a"].label == repr(mean([1.0, 2.0, 2.5]))
    assert found.texts["b"].label == "0.1"
    assert (found.repeats, found.settled, found.ties) == (3, 1, 0)


def test_a_text_in_two_splits_stays_in_the_one_that_measures() -> None:
    splits = {"train": "abcd", "validation": "bce", "test": "cdef"}
    texts = {split: {text: LabelledText(text, 0, "x") for text in found} for split, found in splits.items()}
    assert keep_apart(texts) == {"validation_in_test": 2, "train_in_validation": 1, "train_in_test": 2}
    assert {split: "".join(sorted(found)) for split, found in texts.items()} == {
        "train": "a",
        "validation": "b",
        "test": "cdef",
    }


def test_without_other_sources_nothing_is_taken_apart() -> None:
    texts = {"train": {"a": LabelledText("a", 0, "x")}}
    assert keep_apart(texts) == {}
    assert list(texts["train"]) == ["a"]
