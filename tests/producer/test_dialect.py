import csv
import io

import pytest

from producer.errors import SourceError
from producer.sources import Record, Unreadable

ROWS = [
    ["id", "text", "stars"],
    ["1", "good, really good", "5"],
    ["2", "bad; do not buy", "1"],
    ["3", "two\nlines and a | and a \t tab", "3"],
    ["4", 'she said "hi"; and left, quickly', "2"],
]


def written(**dialect: object) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, **dialect).writerows(ROWS)
    return file.getvalue()


def told(source) -> list[list[str]]:
    return [list(record.values.values()) for record in source.records()]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
def test_other_delimiters_are_found_and_said(source_of, delimiter: str, quoting: int):
    source = source_of("a.csv", written(delimiter=delimiter, quoting=quoting))
    assert source.columns() == ROWS[0]
    assert told(source) == ROWS[1:]
    (notice,) = source.notices
    said = {"\t": "a tab"}.get(delimiter, repr(delimiter))
    assert notice.endswith(f"a.csv' is read with {said} between fields; --delimiter overrules it")


def test_the_plain_comma_needs_no_word(source_of):
    source = source_of("a.csv", written())
    assert told(source) == ROWS[1:]
    assert source.notices == []


def test_a_tsv_has_tabs_without_a_word(source_of):
    source = source_of("a.tsv", written(delimiter="\t"))
    assert told(source) == ROWS[1:]
    assert source.notices == []


def test_a_tsv_with_commas_is_read_and_said(source_of):
    source = source_of("a.tsv", written())
    assert told(source) == ROWS[1:]
    assert "is read with ',' between fields" in source.notices[0]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_single_quotes_are_found(source_of, delimiter: str):
    source = source_of("a.csv", written(delimiter=delimiter, quotechar="'", quoting=csv.QUOTE_ALL))
    assert told(source) == ROWS[1:]
    assert "' around them" in source.notices[0]


def test_quotes_behind_a_backslash_are_found(source_of):
    source = source_of("a.csv", written(doublequote=False, escapechar="\\", quoting=csv.QUOTE_ALL))
    assert told(source) == ROWS[1:]
    assert source.notices[0].endswith("is read with ',' between fields and quotes in them written as \\\"")


def test_backslashes_of_an_ordinary_file_stay(source_of):
    source = source_of("a.csv", 'id,text\n1,C:\\dir\n2,"ends with \\"\n')
    assert told(source) == [["1", "C:\\dir"], ["2", "ends with \\"]]
    assert source.notices == []


@pytest.mark.parametrize(
    "content",
    [
        "text\na; b; c\nd; e\n",
        "text\na|b\nc|d\n",
        "review; with a word\na\nb\nc; d\n",
        "id,text\n1,a;b;c\n2,d;e;f\n3,g\n",
        "a;b,c\n1;2,3\n4;5,6\n",
    ],
)
def test_a_delimiter_within_texts_is_none(source_of, content: str):
    source = source_of("a.csv", content)
    assert source.notices == []
    assert source.columns() == content.partition("\n")[0].split(",")


def test_ragged_records_do_not_hide_the_delimiter(records_of):
    assert records_of("a.csv", "id;text\n1;good, yes\n2\n3;bad, no\n4;so, so\n") == [
        Record(2, {"id": "1", "text": "good, yes"}),
        Unreadable(3, "1 field where the header has 2"),
        Record(4, {"id": "3", "text": "bad, no"}),
        Record(5, {"id": "4", "text": "so, so"}),
    ]


@pytest.mark.parametrize(("told_as", "delimiter"), [("^", "^"), ("tab", "\t"), ("\\t", "\t"), ("\t", "\t"), (",", ",")])
def test_a_delimiter_that_is_told_counts(source_of, told_as: str, delimiter: str):
    source = source_of("a.csv", f"id{delimiter}text;x\n1{delimiter}good;y\n", delimiter=told_as)
    assert list(source.records()) == [Record(2, {"id": "1", "text;x": "good;y"})]
    assert source.notices == []


@pytest.mark.parametrize("delimiter", ["", "ab", '"', "\n", "\0"])
def test_a_delimiter_that_can_be_none_is_refused(source_of, delimiter: str):
    with pytest.raises(SourceError, match=r"can be no delimiter; it is one character, such as , ; \| or tab"):
        source_of("a.csv", "text\ngood\n", delimiter=delimiter)


def test_a_long_file_is_told_from_its_beginning(source_of):
    source = source_of("a.csv", "id;text\n" + "".join(f'{n};"good, {n}"\n' for n in range(20_000)))
    assert sum(isinstance(record, Record) for record in source.records()) == 20_000
