import csv
import tracemalloc
from pathlib import Path

import pytest

from producer.errors import SourceError
from producer.rows import Columns, Row, read_rows
from producer.sources import Record, Unreadable, csv_file, open_source


def test_a_plain_file_gives_its_header_and_records(source_of):
    source = source_of("reviews.csv", "id,text\n1,good\n2,bad\n")
    assert source.name == "reviews.csv"
    assert source.columns() == ["id", "text"]
    assert list(source.records()) == [
        Record(2, {"id": "1", "text": "good"}),
        Record(3, {"id": "2", "text": "bad"}),
    ]


def test_the_records_can_be_read_twice(source_of):
    source = source_of("a.csv", "text\ngood\n")
    assert list(source.records()) == list(source.records()) != []


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_read(records_of, newline):
    content = newline.join(["id,text", "1,good", '2,"two', 'lines"', "3,bad", ""])
    assert records_of("a.csv", content) == [
        Record(2, {"id": "1", "text": "good"}),
        Record(3, {"id": "2", "text": f"two{newline}lines"}),
        Record(5, {"id": "3", "text": "bad"}),
    ]


def test_the_row_is_the_line_where_the_record_starts(records_of):
    content = 'text\n"one\n\n\nfour"\n\n\nseven\n"x""y"\n'
    assert [(r.row, r.values["text"]) for r in records_of("a.csv", content)] == [
        (2, "one\n\n\nfour"),
        (8, "seven"),
        (9, 'x"y'),
    ]


def test_a_header_may_span_lines(records_of):
    assert records_of("a.csv", '"te\nxt",b\n1,2\n') == [Record(3, {"te\nxt": "1", "b": "2"})]


def test_line_separators_inside_a_text_are_no_line_ends(records_of):
    text = "a\u2028b\u0085c\x0bd\x0ce"
    assert records_of("a.csv", f"text\n{text}\nnext\n") == [
        Record(2, {"text": text}),
        Record(3, {"text": "next"}),
    ]


def test_a_byte_order_mark_is_no_part_of_the_header(source_of):
    source = source_of("a.csv", b"\xef\xbb\xbftext\ngood\n")
    assert source.columns() == ["text"]
    assert list(source.records()) == [Record(2, {"text": "good"})]


def test_blank_lines_are_skipped(records_of):
    assert [r.row for r in records_of("a.csv", "\n\ntext\n\na\n\n\nb\n\n")] == [5, 8]


def test_undecodable_bytes_spoil_their_own_record_only(records_of):
    before, bad, after = records_of("a.csv", b"id,text\n1,good\n2,caf\xe9 noir\n3,\xf0\x9f\x98\x80\n")
    assert before.values["text"] == "good"
    assert bad == Unreadable(3, "byte 0xe9 in column 'text', character 4, is not UTF-8")
    assert after.values["text"] == "\N{GRINNING FACE}"


def test_a_cut_off_character_does_not_eat_the_quote_after_it(records_of):
    bad, good = records_of("a.csv", b'text,b\n"\xe2\x82",1\nfine,2\n')
    assert isinstance(bad, Unreadable)
    assert good.values == {"text": "fine", "b": "2"}


def test_bad_bytes_beyond_the_header_are_named_by_position(records_of):
    assert records_of("a.csv", b"text\na,\xff\n") == [Unreadable(2, "byte 0xff in column 2, character 1, is not UTF-8")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,good", "2 fields where the header has 3"),
        ("1", "1 field where the header has 3"),
        ("1,good,x,y", "4 fields where the header has 3"),
    ],
)
def test_ragged_records_are_unreadable(records_of, line, reason):
    ragged, whole = records_of("a.csv", f"id,text,b\n{line}\n2,fine,z\n")
    assert ragged == Unreadable(2, reason)
    assert whole == Record(3, {"id": "2", "text": "fine", "b": "z"})


def test_a_megabyte_of_text_is_read(records_of):
    text = "good " * 210_000
    assert records_of("a.csv", f"text\n{text}\nnext\n")[0].values["text"] == text


def test_a_record_too_long_is_passed_over(records_of, monkeypatch):
    monkeypatch.setattr(csv_file, "MAX_RECORD_CHARS", 100)
    found = records_of("a.csv", f"text\n{'x' * 100_000}\nfine\n")
    assert found == [
        Unreadable(2, "longer than 100 characters; is a quote not closed?"),
        Record(3, {"text": "fine"}),
    ]


def test_an_unclosed_quote_swallows_no_more_than_the_limit(records_of, monkeypatch):
    monkeypatch.setattr(csv_file, "MAX_RECORD_CHARS", 100)
    lines = ["a review"] * 50
    bad, *rest = records_of("a.csv", "\n".join(["text", '"never closed', *lines]))
    assert (bad.row, isinstance(bad, Unreadable)) == (2, True)
    assert len(rest) == 40
    assert rest[-1] == Record(52, {"text": "a review"})


def test_a_nul_is_read_and_left_to_the_checks(records_of):
    assert [r.values["text"] for r in records_of("a.csv", "text\na\0b\nfine\n")] == ["a\0b", "fine"]


def test_a_quote_open_at_the_end_is_told(records_of):
    good, bad = records_of("a.csv", 'text\nfine\n"never closed\nlost\nlost too\n')
    assert good == Record(2, {"text": "fine"})
    assert bad.row == 3
    assert "never closed" in bad.reason


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_last_line_needs_no_newline(records_of, end):
    assert records_of("a.csv", f'text\n"last"{end}') == [Record(2, {"text": "last"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,id,text\n", "names 'text' more than once"),
        (",text\n0,good\n", "no name for column 1"),
        ("id,  \n0,good\n", "no name for column 2"),
        ("\n\r\n\n", "only blank lines"),
        (b"\xef\xbb\xbf", "only blank lines"),
        (b"caf\xe9,text\n", "byte 0xe9 in column 1, character 4"),
        ('"text,id\n1,2\n', "never closed"),
    ],
)
def test_a_header_that_tells_nothing_is_refused(source_of, content, message):
    with pytest.raises(SourceError, match=message) as caught:
        source_of("a.csv", content)
    assert "\n" not in str(caught.value)


def test_what_the_csv_module_writes_comes_back(tmp_path: Path):
    texts = [
        'say "hi", she said',
        "two\r\nlines",
        "\N{GRINNING FACE}",
        "\u05e9\u05dc\u05d5\u05dd",
        "a,b",
        "'",
    ]
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "id"], *([text, i] for i, text in enumerate(texts))])
    assert [r.values["text"] for r in open_source(str(path)).records()] == texts


def test_memory_stays_flat(tmp_path: Path):
    path = tmp_path / "big.csv"
    block = "".join(f'{i},"review {i}, {"quite good " * 28}"\n' for i in range(100))
    with path.open("w") as file:
        file.write("id,text\n")
        while file.tell() < 30_000_000:
            file.write(block)
    rows = read_rows(open_source(str(path)), Columns("text", id="id"), max_chars=1000)
    tracemalloc.start()
    try:
        count = sum(isinstance(row, Row) for row in rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count > 80_000
    assert peak < 2_000_000
