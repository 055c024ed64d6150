from datetime import date, datetime
from decimal import Decimal

import pytest

from producer.kept import kept_values
from producer.rows import BadRow, Row
from producer.values import RejectedValue


def test_columns_are_kept_as_they_are(rows_of):
    content = '{"text": "good", "shop": "north", "stars": 4, "tags": ["a", {"b": null}], "other": 1}\n'
    (row,) = rows_of("a.jsonl", content, keep=("shop", "stars", "tags", "missing"))
    assert isinstance(row, Row)
    assert row.extra == {"shop": "north", "stars": 4, "tags": ["a", {"b": None}], "missing": None}


def test_csv_keeps_strings_and_without_columns_nothing_is_kept(rows_of):
    content = "text,stars,shop\ngood,04,\n"
    assert rows_of("a.csv", content, keep=("stars", "shop"))[0].extra == {"stars": "04", "shop": ""}
    assert rows_of("a.csv", content)[0].extra is None


def test_what_json_has_no_form_for_is_told_otherwise():
    values = {
        "nan": float("nan"),
        "inf": float("-inf"),
        "day": date(2024, 3, 1),
        "at": datetime(2024, 3, 1, 9),
        "d": Decimal("1.50"),
    }
    assert kept_values(values, tuple(values), 100) == {
        "nan": None,
        "inf": None,
        "day": "2024-03-01",
        "at": "2024-03-01T09:00:00",
        "d": "1.50",
    }


def nested(levels: int) -> object:
    """An empty list inside so many lists."""
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


TOO_MUCH = (
    "the column 'shop' holds more than 10 characters and values together, "
    "which is all that REVIEWMILL_MAX_REVIEW_CHARS allows"
)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\0", "the column 'shop' holds a NUL character, which no SQL text column can store"),
        (["\ud83d"], "the column 'shop' is not valid Unicode: half a surrogate pair at character 1"),
        ({"a\0": 1}, "the column 'shop' holds a NUL character, which no SQL text column can store"),
        ("x" * 11, "the column 'shop' has 11 characters; REVIEWMILL_MAX_REVIEW_CHARS allows 10"),
        ([0] * 11, TOO_MUCH),
        (["abc", "def", "gh"], TOO_MUCH),
        ({"abcde": "fghij"}, TOO_MUCH),
        ([["a"] * 4, ["b"] * 4], TOO_MUCH),
        (nested(65), "the column 'shop' is nested more than 64 lists and objects deep"),
        ({"a": nested(64)}, "the column 'shop' is nested more than 64 lists and objects deep"),
    ],
)
def test_what_no_database_can_hold_is_refused(value, reason):
    most = 100 if "nested" in reason else 10
    with pytest.raises(RejectedValue) as caught:
        kept_values({"shop": value}, ("shop",), most)
    assert str(caught.value) == reason


def test_what_is_just_small_enough_is_kept():
    values = {"a": nested(64), "b": ["abc", "def", "g"], "c": [1] * 10, "d": "x" * 100, "e": ["y"]}
    assert kept_values({**values, "b": ["abc", "def"]}, ("a", "c", "d"), 100) == {n: values[n] for n in "acd"}
    # Each column by itself.
    assert kept_values(values, ("b", "c", "e"), 10) == {n: values[n] for n in "bce"}


def test_a_row_whose_kept_column_cannot_be_stored_is_a_bad_one(rows_of):
    bad, good = rows_of("a.jsonl", '{"text": "a", "shop": "\\u0000"}\n{"text": "b", "shop": "x"}\n', keep=("shop",))
    assert isinstance(bad, BadRow)
    assert "'shop' holds a NUL" in bad.reason
    assert isinstance(good, Row)
