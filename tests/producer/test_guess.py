"""Columns are guessed where they are obvious, and nowhere else."""

import pytest

from producer.errors import GuessError
from producer.guess import guess_label, guess_text, likely_id


@pytest.mark.parametrize(
    ("header", "row", "column"),
    [
        ("id,Review Text,title,label", "1,good film,Wow,x", "Review Text"),
        ("key,BODY,stars", "a b,good,5", "BODY"),
        ("review-text,note", "good,a note", "review-text"),
        ("key,opinion,stars", "17,good film,5", "opinion"),
        ("uuid,opinion,sentiment", "a-1,good film,positive", "opinion"),
        ("opinion", "x", "opinion"),
    ],
)
def test_the_text_is_the_one_that_is_called_so_or_the_only_words(source_of, header, row, column):
    assert guess_text(source_of("a.csv", f"{header}\n{row}\n")) == column


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        (
            "text,review",
            "good,bad",
            "not obvious: 'text', 'review' could be; give --text COL; the columns are 'text', ",
        ),
        ("opinion,title", "good,bad", "not obvious: 'opinion', 'title' could be"),
        ("key,stars", "1,2.5", "not obvious: none looks like it; give --text COL; the columns are 'key', 'stars'"),
        ("key,opinion", "1,", "not obvious: none looks like it"),
    ],
)
def test_what_is_not_obvious_is_not_guessed(source_of, header, row, said):
    with pytest.raises(GuessError) as caught:
        guess_text(source_of("a.csv", f"{header}\n{row}\n"))
    assert str(caught.value).startswith("which column is the text is ")
    assert said in str(caught.value)


def test_a_column_that_is_something_else_is_not_the_text(source_of):
    source = source_of("a.csv", "text,review\ngood,bad\n")
    assert guess_text(source, ["text"]) == "review"
    assert guess_text(source_of("b.csv", "q,a\nwhich,this one\n"), ["a"]) == "q"


def test_numbers_lists_and_gaps_of_jsonl_are_no_words(source_of):
    lines = '{"said": "good", "n": 5, "tags": ["a"], "gap": null}\n{"said": null, "n": 4, "tags": [], "gap": null}\n'
    assert guess_text(source_of("a.jsonl", lines)) == "said"


def test_columns_that_only_the_rows_tell_are_found(source_of, monkeypatch):
    source = source_of("a.jsonl", 'broken\n{"n": 1}\n{"n": 2, "body": "good"}\n')
    monkeypatch.setattr(source, "columns", lambda: None)
    assert guess_text(source) == "body"


def test_the_label_goes_by_its_name_alone(source_of):
    assert guess_label(source_of("a.csv", "text,Stars,shop\ngood,5,north\n")) == "Stars"
    assert guess_label(source_of("b.csv", "text,label,rating\ngood,x,5\n"), ["rating"]) == "label"
    with pytest.raises(GuessError, match="'label', 'rating' could be; give --label COL, or a --teacher to learn from"):
        guess_label(source_of("c.csv", "text,label,rating\ngood,x,5\n"))
    with pytest.raises(GuessError, match="none looks like it"):
        guess_label(source_of("d.csv", "text,mark\ngood,5\n"))


def test_an_id_is_likely_where_no_value_comes_twice(source_of):
    assert likely_id(source_of("a.csv", "ID,text\n1,good\n2,bad\n")) == "ID"
    assert likely_id(source_of("b.csv", "ID,text\n1,good\n1,bad\n")) is None
    assert likely_id(source_of("c.csv", "id,uuid,text\n1,2,good\n")) is None
    assert likely_id(source_of("d.csv", "product_id,text\n1,good\n")) is None
    assert likely_id(source_of("e.csv", "id,text\n1,good\n"), ["id"]) is None
