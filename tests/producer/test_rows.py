import json

import pytest

from producer.errors import ColumnError
from producer.rows import BadRow, Columns, Row, check_columns, read_rows, text_hash
from producer.sources import Record, Unreadable
from producer.values import Flaw


def lines(*objects: dict[str, object]) -> str:
    return "".join(json.dumps(each) + "\n" for each in objects)


@pytest.fixture
def reason_of(rows_of):
    """The reason why one JSON object is no review, and a proof that the next one still comes."""

    def reason(value: dict[str, object], **options: object) -> str:
        good = {"text": "fine", "id": 7, "pair": "too", "label": "x"}
        bad, after = rows_of("a.jsonl", lines(value, good), **options)
        assert isinstance(bad, BadRow)
        assert isinstance(after, Row)
        assert bad.row == 1
        return bad.reason

    return reason


def test_a_good_row_carries_everything(rows_of):
    content = "id,text,b,stars\na-1,good,really,5\n"
    assert rows_of("a.csv", content, id="id", pair="b", label="stars") == [
        Row(2, "a-1", "good", "really", "5", text_hash("good", "really"))
    ]


def test_without_an_id_column_the_hash_is_the_id(rows_of):
    (row,) = rows_of("a.csv", "text\ngood\n")
    assert (row.external_id, row.pair, row.label) == (row.text_hash, None, None)
    assert row.text_hash == text_hash("good")


def test_of_several_files_a_bad_row_tells_its_own():
    class TwoFiles:
        def records(self, only):
            yield Record(3, {"text": ""}, "b.csv")
            yield Unreadable(4, "1 field where the header has 2", "b.csv")
            yield Record(5, {"text": "good"}, "b.csv")

    empty, ragged, good = read_rows(TwoFiles(), Columns("text"), max_chars=100)
    assert (empty.row, empty.reason) == (3, "in b.csv: no text")
    assert (ragged.row, ragged.reason) == (4, "in b.csv: 1 field where the header has 2")
    assert (good.row, good.text) == (5, "good")


BAD_TEXTS = [
    (None, "no {}"),
    ("", "no {}"),
    (3.5, "the {} is a number, not text"),
    (0, "the {} is a number, not text"),
    (True, "the {} is true or false, not text"),
    (["good"], "the {} is a list, not text"),
    ({"en": "good"}, "the {} is an object, not text"),
    (" \t\n\u3000", "the {} is only white space"),
    ("a\0b", "the {} holds a NUL character, which no SQL text column can store"),
    ("ab\ud83d", "the {} is not valid Unicode: half a surrogate pair at character 3"),
    ("x" * 1001, "the {} has 1,001 characters; REVIEWMILL_MAX_REVIEW_CHARS allows 1,000"),
]


@pytest.mark.parametrize(("value", "reason"), BAD_TEXTS)
def test_a_bad_text_is_told(reason_of, value, reason):
    assert reason_of({"text": value}) == reason.format("text")


@pytest.mark.parametrize(("value", "reason"), BAD_TEXTS)
def test_a_bad_pair_is_told(reason_of, value, reason):
    assert reason_of({"text": "good", "pair": value}, pair="pair") == reason.format("pair")


def test_absent_keys_are_told(reason_of):
    assert reason_of({"other": 1}) == "no text"
    assert reason_of({"text": "good"}, pair="pair") == "no pair"
    assert reason_of({"text": "good"}, id="id") == "no id"
    assert reason_of({"text": "good"}, label="label") == "no label"


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1000,
        "\N{GRINNING FACE}",
        "\N{FAMILY}\u200d\N{HEAVY BLACK HEART}\ufe0f",
        "\u05e1\u05e8\u05d8 \u05d8\u05d5\u05d1",
        "\u202e\u0641\u064a\u0644\u0645",
        " padded ",
        "0",
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_ordinary_texts_of_the_world_pass_unchanged(rows_of, text, ascii_only):
    content = json.dumps({"text": text}, ensure_ascii=ascii_only)
    assert [row.text for row in rows_of("a.jsonl", content)] == [text]


@pytest.mark.parametrize(
    ("value", "kept"),
    [("a-1", "a-1"), (17, "17"), (0, "0"), (-3, "-3"), (" a ", " a "), ("x" * 512, "x" * 512)],
)
def test_ids_are_kept_as_text(rows_of, value, kept):
    assert [row.external_id for row in rows_of("a.jsonl", lines({"text": "t", "id": value}), id="id")] == [kept]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no id"),
        ("", "no id"),
        ("  ", "no id"),
        (1.0, "the id is a number; it must be text or a whole number"),
        ([1], "the id is a list; it must be text or a whole number"),
        (True, "the id is true or false; it must be text or a whole number"),
        ("x" * 513, "the id has 513 characters; at most 512 are kept"),
        (10**600, "the id has 601 characters; at most 512 are kept"),
        ("a\0", "the id holds a NUL character, which no SQL text column can store"),
        ("\udc00", "the id is not valid Unicode: half a surrogate pair at character 1"),
    ],
)
def test_a_bad_id_is_told(reason_of, value, reason):
    assert reason_of({"text": "good", "id": value}, id="id") == reason


def test_a_bad_text_keeps_its_good_id(rows_of):
    assert rows_of("a.csv", "id,text\n9,\n", id="id") == [BadRow(2, "9", "no text", Flaw.EMPTY)]


def test_a_bad_label_is_told(reason_of):
    assert reason_of({"text": "good", "label": " "}, label="label") == "no label"


@pytest.mark.parametrize(
    ("values", "flaw"),
    [
        ({"text": ""}, Flaw.EMPTY),
        ({"text": " ", "label": "x"}, Flaw.EMPTY),
        ({"text": 7, "label": "x"}, Flaw.WRONG),
        ({"text": "good"}, Flaw.UNLABELLED),
        ({"text": "good", "label": 4.5}, Flaw.WRONG),
        ({"text": "a\0", "label": "x"}, Flaw.UNREADABLE),
    ],
)
def test_what_is_wrong_with_a_row_is_told_apart(rows_of, values, flaw):
    (bad,) = rows_of("a.jsonl", lines(values), label="label")
    assert bad.flaw is flaw


def test_a_label_column_not_asked_for_is_not_checked(rows_of):
    assert rows_of("a.jsonl", lines({"text": "t", "label": None}))[0].label is None


def test_an_unreadable_record_becomes_a_bad_row(rows_of):
    assert rows_of("a.csv", "id,text\n1\n", id="id") == [BadRow(2, None, "1 field where the header has 2")]


def test_the_hash_is_fixed_for_ever():
    assert text_hash("good") == "8cb260423daf712f1ab029cd2492fa12"
    assert text_hash("good", "film") == "eacf40d8d1982f6db6ebdacf2d6e94ad"


def test_no_two_splits_of_the_same_characters_share_a_hash():
    whole = "aabab\u00e9\u00e9a"
    hashes = {text_hash(whole[:cut], whole[cut:]) for cut in range(len(whole) + 1)}
    assert len(hashes | {text_hash(whole)}) == len(whole) + 2
    framed = (1).to_bytes(8, "big").decode() + "ab"
    assert text_hash(framed) != text_hash("a", "b")


def test_a_missing_column_names_those_there_are_and_the_closest(source_of):
    source = source_of("a.csv", "id,Review_Text,stars\n1,good,5\n")
    with pytest.raises(ColumnError) as caught:
        check_columns(source, Columns("review_text"))
    assert str(caught.value) == (
        "no column 'review_text' (did you mean 'Review_Text'?); the columns are 'id', 'Review_Text', 'stars'"
    )


def test_indicator_columns_are_looked_for(source_of):
    source = source_of("a.csv", "text,price\ngood,1\n")
    with pytest.raises(ColumnError, match="no column 'service'"):
        check_columns(source, Columns("text", indicators=("price", "service")))


@pytest.mark.parametrize("role", ["id", "pair", "label"])
def test_every_named_column_is_looked_for(source_of, role):
    source = source_of("a.jsonl", '{"text": "good"}\n')
    check_columns(source, Columns("text"))
    with pytest.raises(ColumnError, match="no column 'zzz'; the columns are 'text'"):
        check_columns(source, Columns("text", **{role: "zzz"}))


def test_a_wide_header_is_cut_in_the_message(source_of):
    source = source_of("a.csv", ",".join(f"c{i}" for i in range(300)) + "\n")
    with pytest.raises(ColumnError, match=r"'c19' and 280 more$"):
        check_columns(source, Columns("text"))


def test_unknown_columns_pass(source_of):
    check_columns(source_of("a.jsonl", "nope\n"), Columns("text"))


def test_an_object_without_keys_has_no_columns(source_of):
    with pytest.raises(ColumnError, match="there are no columns"):
        check_columns(source_of("a.jsonl", "{}\n"), Columns("text"))
