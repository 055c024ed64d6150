"""What label columns may hold, for each kind of label."""

import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from producer.errors import LabelError
from producer.labels import label_reader
from producer.values import Flaw, RejectedValue


def read(value: object, problem_type: str) -> str:
    reader = label_reader("label", (), problem_type)
    assert reader is not None
    return reader({"label": value, "other": "x"})


def refused(value: object, problem_type: str) -> tuple[str, Flaw]:
    with pytest.raises(RejectedValue) as caught:
        read(value, problem_type)
    return str(caught.value), caught.value.flaw


def test_without_a_column_nothing_is_read() -> None:
    assert label_reader(None, (), SINGLE_LABEL) is None


@pytest.mark.parametrize(("value", "kept"), [("good", "good"), (1, "1"), (0, "0"), (False, "False"), (" a ", " a ")])
def test_a_single_label_is_kept_as_text(value: object, kept: str) -> None:
    assert read(value, SINGLE_LABEL) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("price", "price"),
        ("quality|price", "price|quality"),
        (" price | quality |price|", "price|quality"),
        ("", ""),
        (" ", ""),
        ([], ""),
        (["quality", "price", 7], "7|price|quality"),
        (3, "3"),
    ],
)
def test_several_labels_are_joined_in_the_order_of_their_names(value: object, kept: str) -> None:
    assert read(value, MULTI_LABEL) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [(4, "4.0"), (4.5, "4.5"), ("4.5", "4.5"), (" -1e3 ", "-1000.0"), ("0.1", "0.1"), (3.4e38, "3.4e+38")],
)
def test_a_target_is_kept_as_the_number_s_repr(value: object, kept: str) -> None:
    assert read(value, REGRESSION) == kept


@pytest.mark.parametrize("value", [None, "", " "])
def test_a_missing_single_label_or_target_says_nothing(value: object) -> None:
    assert refused(value, SINGLE_LABEL) == ("no label", Flaw.UNLABELLED)
    assert refused(value, REGRESSION) == ("no target", Flaw.UNLABELLED)


def test_a_missing_multi_label_is_not_an_empty_one() -> None:
    assert refused(None, MULTI_LABEL) == ("no label", Flaw.UNLABELLED)


@pytest.mark.parametrize(
    ("problem_type", "value", "reason"),
    [
        (SINGLE_LABEL, 4.5, "the label is a number; it must be text, a whole number, true or false"),
        (SINGLE_LABEL, ["a"], "the label is a list; it must be text, a whole number, true or false"),
        (MULTI_LABEL, 4.5, "the label is a number; it must be text with '|' between labels, or a list of labels"),
        (MULTI_LABEL, {"a": 1}, "the label is an object; it must be text with '|' between labels, or a list of labels"),
        (MULTI_LABEL, ["a", 1.5], "the label holds 1.5; it must be text with '|' between labels, or a list of labels"),
        (MULTI_LABEL, ["a|b"], "the label holds 'a|b'; it must be text with '|' between labels, or a list of labels"),
        (REGRESSION, "good", "the target is 'good'; it must be a finite number"),
        (REGRESSION, "4,5", "the target is '4,5'; it must be a finite number"),
        (REGRESSION, "nan", "the target is nan; it must be a finite number"),
        (REGRESSION, float("nan"), "the target is nan; it must be a finite number"),
        (REGRESSION, "-inf", "the target is -inf; it must be a finite number"),
        (REGRESSION, 1e39, "the target is 1e+39; it must be a finite number"),
        (REGRESSION, 10**400, "the target is 1" + "0" * 59 + "...; it must be a finite number"),
        (REGRESSION, True, "the target is true or false; it must be a finite number"),
    ],
)
def test_a_label_of_the_wrong_kind_is_told(problem_type: str, value: object, reason: str) -> None:
    assert refused(value, problem_type) == (reason, Flaw.WRONG)


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL])
def test_a_label_that_cannot_be_stored_is_told(problem_type: str) -> None:
    nul, long = refused("a\0", problem_type), refused("x" * 256, problem_type)
    assert nul == ("the label holds a NUL character, which no SQL text column can store", Flaw.UNREADABLE)
    assert long == ("the label has 256 characters; at most 255 are kept", Flaw.UNREADABLE)


def test_indicator_columns_name_the_labels() -> None:
    reader = label_reader(None, ("quality", "price", "service"), MULTI_LABEL)
    assert reader is not None
    assert reader({"quality": "1", "price": " TRUE ", "service": "0"}) == "price|quality"
    assert reader({"quality": 0, "price": False, "service": "false"}) == ""
    for value in (2, "yes", 0.5, [1]):
        with pytest.raises(RejectedValue, match=r"the label column 'price' holds .*; it must hold 0 or 1") as caught:
            reader({"quality": 1, "price": value, "service": 0})
        assert caught.value.flaw is Flaw.WRONG
    with pytest.raises(RejectedValue, match="nothing in the label column 'service'") as caught:
        reader({"quality": 1, "price": 1, "service": ""})
    assert caught.value.flaw is Flaw.UNLABELLED


def test_an_indicator_column_with_the_separator_in_its_name_is_refused() -> None:
    with pytest.raises(LabelError, match=r"the column 'a\|b' cannot be a label"):
        label_reader(None, ("a|b", "c"), MULTI_LABEL)
