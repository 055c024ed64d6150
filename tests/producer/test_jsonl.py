import math
import tracemalloc

import pytest

from producer.sources import Record, Unreadable, jsonl_file


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "A.JSONL"])
def test_a_plain_file_gives_its_objects(source_of, name):
    source = source_of(name, '{"id": 1, "text": "good"}\n{"text": "bad"}\n')
    assert source.name == name
    assert source.columns() == ["id", "text"]
    assert list(source.records()) == [
        Record(1, {"id": 1, "text": "good"}),
        Record(2, {"text": "bad"}),
    ]


def test_blank_lines_count_as_lines_but_not_as_records(records_of):
    found = records_of("a.jsonl", '\n  \t\r\n{"a": 1}\r\n\n{"a": 2}')
    assert [(r.row, r.values["a"]) for r in found] == [(3, 1), (5, 2)]


def test_a_byte_order_mark_is_passed_over(records_of):
    assert records_of("a.jsonl", b'\xef\xbb\xbf{"a": 1}\n') == [Record(1, {"a": 1})]


TOO_DEEP = "the JSON is nested too deeply; at most 64 lists and objects are inside one another"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{nope}", "not JSON: Expecting property name enclosed in double quotes at character 2"),
        (b'{"a": "x', "not JSON: Unterminated string starting at character 7"),
        (b'{"a": 1} {"a": 2}', "not JSON: Extra data at character 10"),
        (b"[1, 2]", "the line is JSON but not an object like {...}"),
        (b'"text"', "the line is JSON but not an object like {...}"),
        (b"null", "the line is JSON but not an object like {...}"),
        (b'{"a": "caf\xe9"}', "byte 0xe9 at position 11 is not UTF-8"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", TOO_DEEP),
        (b'{"a": ' + b"[" * 64 + b"]" * 64 + b"}", TOO_DEEP),
        (b'{"a": ' * 65 + b"1" + b"}" * 65, TOO_DEEP),
        (b'{"a": ' + b"9" * 5000 + b"}", "the JSON holds a number with too many digits"),
    ],
)
def test_a_bad_line_spoils_itself_only(records_of, line, reason):
    found = records_of("a.jsonl", b'{"a": 0}\n' + line + b'\n{"a": 2}\n')
    assert found == [Record(1, {"a": 0}), Unreadable(2, reason), Record(3, {"a": 2})]


def test_what_is_nested_just_deeply_enough_is_read(records_of):
    (deep,) = records_of("a.jsonl", b'{"a": ' + b"[" * 63 + b"]" * 63 + b"}")
    assert isinstance(deep, Record)
    (wide,) = records_of("a.jsonl", b'{"a": [' + b",".join([b"[]"] * 5_000) + b"]}")
    assert wide.values == {"a": [[]] * 5_000}


def test_numbers_outside_json_are_read(records_of):
    (record,) = records_of("a.jsonl", '{"a": NaN, "b": -Infinity, "c": 1e999}')
    assert math.isnan(record.values["a"])
    assert record.values["c"] == math.inf


def test_a_line_too_long_is_passed_over_without_holding_it(source_of):
    limit = jsonl_file.MAX_LINE_BYTES
    line = b'{"a": "' + b"x" * (3 * limit) + b'"}'
    source = source_of("a.jsonl", line + b'\n{"a": 2}\n')
    del line
    tracemalloc.start()
    try:
        found = list(source.records())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [Unreadable(1, "the line is longer than 16,777,216 bytes"), Record(2, {"a": 2})]
    assert peak < 2.5 * limit


def test_a_line_of_exactly_the_limit_is_read(records_of, monkeypatch):
    line = b'{"a": "xx"}\n'
    monkeypatch.setattr(jsonl_file, "MAX_LINE_BYTES", len(line))
    assert records_of("a.jsonl", line * 2) == [Record(1, {"a": "xx"}), Record(2, {"a": "xx"})]


def test_the_columns_are_those_of_the_first_object_found(source_of):
    assert source_of("a.jsonl", '[]\nnope\n{"text": 1}\n{"x": 1}\n').columns() == ["text"]


def test_without_an_object_the_columns_are_unknown(source_of):
    assert source_of("a.jsonl", "[]\n").columns() is None
