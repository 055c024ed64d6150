"""No cell of a csv is a formula to a spreadsheet, whatever it takes for the delimiter, and nothing is lost."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.formats import Column, Kind, write_rows

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()
FORMULA = re.compile(r"[\"]*[=+\-@＝＋－＠]")
ODD = st.text(alphabet=st.sampled_from("=+-@＝\t\r\n,;'\"ab 1👍é"), max_size=12)


def written(values: list[Any], kind: Kind = Kind.TEXT, raw: bool = False, name: str = "cell") -> str:
    file = io.StringIO(newline="")
    columns = [Column("n", Kind.INTEGER), Column(name, kind)]
    assert write_rows("csv", columns, enumerate(values), file, raw_csv=raw) == len(values)
    return file.getvalue()


def cells(text: str, delimiter: str = ",") -> list[str]:
    return [row[1] for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)][1:]


def restored(text: str) -> str:
    """As the page says it is done."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    page: dict[str, Any] = {}
    exec(code, page)
    return str(page["as_it_was"](text))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("＝1", "'＝1"),
        ('"=1', "'\"=1"),
        ("a,=1", "a,'=1"),
        ("a;@x", "a;'@x"),
        ("list\n- one", "list\n'- one"),
        ("plain - text, = all right", "plain - text, = all right"),
        ("'quoted'", "'quoted'"),
        ("", ""),
    ],
)
def test_what_starts_like_a_formula_becomes_words(text: str, cell: str) -> None:
    assert cells(written([text])) == [cell]
    assert cells(written([text], Kind.NAME)) == [cell]
    assert cells(written([text], raw=True)) == [text]
    assert restored(cell) == text


@given(st.lists(ODD, max_size=4))
def test_no_spreadsheet_sees_a_formula_and_all_can_be_restored(texts: list[str]) -> None:
    made = written(texts)
    assert [restored(cell) for cell in cells(made)] == texts
    assert cells(written(texts, raw=True)) == texts
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(made, newline=""), delimiter=delimiter):
            assert not [cell for cell in row if FORMULA.match(cell)], (row, delimiter)


@given(st.lists(st.dictionaries(ODD, st.one_of(ODD, st.integers(), st.lists(st.integers())), max_size=3), max_size=3))
def test_json_cells_stay_the_json_they_were(documents: list[dict[str, Any]]) -> None:
    for dumped in (json.dumps, lambda one: json.dumps(one, ensure_ascii=False, separators=(",", ":"))):
        made = written([dumped(one) for one in documents], Kind.JSON)
        assert [json.loads(cell) for cell in cells(made)] == documents
        for row in csv.reader(io.StringIO(made, newline=""), delimiter=";"):
            assert not [cell for cell in row if FORMULA.match(cell)], row


@given(st.lists(st.tuples(ODD, st.none() | ODD), max_size=5))
def test_quotes_are_those_of_the_standard_library(pairs: list[tuple[str, str | None]]) -> None:
    file, expected = io.StringIO(newline=""), io.StringIO(newline="")
    write_rows("csv", [Column("a", Kind.TEXT), Column("b", Kind.NAME)], pairs, file, raw_csv=True)
    csv.writer(expected).writerows([("a", "b"), *pairs])
    assert file.getvalue() == expected.getvalue()


def test_numbers_stay_numbers() -> None:
    assert cells(written([-0.5, 1e-9, None, -3.0], Kind.NUMBER)) == ["-0.5", "1e-09", "", "-3.0"]
    assert cells(written([-7, 0], Kind.INTEGER)) == ["-7", "0"]
    assert cells(written([True, False], Kind.FLAG)) == ["True", "False"]


def test_names_of_columns_are_guarded_too() -> None:
    assert written([], name="=cmd").splitlines() == ["n,'=cmd"]
