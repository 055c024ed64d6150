"""What is read of long reviews, against transformers' own tokenizers and on real reviews."""

from itertools import islice
from typing import Any

import pytest
from transformers import AutoTokenizer

from db.tables import READINGS
from producer.checkpoints import minilm_directory
from producer.sources import open_source
from tests.samples import CHECKPOINTS
from worker.batching import BatchCutter
from worker.checkpoints.tokenizer import Tokenizer, load_tokenizer, tokenize
from worker.engines.base import BatchCosts
from worker.errors import UnknownReading
from worker.reading import Reading, Sequences, asked_reading, read_each, reusable_readings

FAMILIES = ["bert", "distilbert", "roberta", "xlm-roberta", "albert"]
LONG = ["It broke after a week, sadly. " * 30, "[SEP] ok, I think! " * 40, "😀 הסרט, really " * 30]
#: None of them takes half of the room of 40 tokens.
PAIRS = [None, "Great value.", "Not bad."]
REAL = 1_000


@pytest.fixture(scope="module", params=FAMILIES)
def both(request: pytest.FixtureRequest) -> tuple[Tokenizer, Any]:
    """A tokenizer of ours and the one of transformers."""
    return load_tokenizer(CHECKPOINTS / request.param), AutoTokenizer.from_pretrained(str(CHECKPOINTS / request.param))


@pytest.fixture(scope="module")
def real() -> tuple[Tokenizer, list[str]]:
    """Real reviews, many of them longer than 128 tokens, and the tokenizer of MiniLM."""
    records = open_source("demo:imdb:test").records()
    return load_tokenizer(minilm_directory()), [str(record.values["text"]) for record in islice(records, REAL)]


def readings(tokenizer: Tokenizer, texts: list[str], pairs: list[str | None], limit: int, asked: str) -> list[Reading]:
    each = read_each(tokenizer, texts, pairs, limit, asked)
    assert [one for one in each if isinstance(one, str)] == []
    return [one for one in each if isinstance(one, Reading)]


def ids_of(reading: Reading) -> list[list[int]]:
    return [one.ids.tolist() for one in reading.sequences]


def room(theirs: Any, pair: str | None, limit: int) -> int:
    taken = len(theirs(pair, add_special_tokens=False)["input_ids"]) if pair else 0
    return limit - theirs.num_special_tokens_to_add(pair=bool(pair)) - taken


@pytest.mark.parametrize("pairs", [[None] * len(LONG), PAIRS])
def test_windows_are_those_of_transformers(both: tuple[Tokenizer, Any], pairs: list[str | None]) -> None:
    ours, theirs = both
    for text, pair, one in zip(LONG, pairs, readings(ours, LONG, pairs, 40, "window"), strict=True):
        expected = theirs(
            text,
            pair,
            truncation="only_first",
            max_length=40,
            stride=room(theirs, pair, 40) // 2,
            return_overflowing_tokens=True,
        )
        assert ids_of(one) == expected["input_ids"]
        segments = expected.get("token_type_ids", [[0] * len(ids) for ids in expected["input_ids"]])
        assert [part.segment_ids.tolist() for part in one.sequences] == segments
        assert (one.manner, one.truncated) == ("window", False)
        assert one.tokens == sum(map(len, expected["input_ids"]))
        # Every token of the text counts once.
        assert sum(one.weights) == len(theirs(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("pairs", [[None] * len(LONG), PAIRS])
def test_head_and_tail_are_those_of_the_text_alone(both: tuple[Tokenizer, Any], pairs: list[str | None]) -> None:
    ours, theirs = both
    for text, pair, one in zip(LONG, pairs, readings(ours, LONG, pairs, 40, "head-tail"), strict=True):
        (ids,) = ids_of(one)
        bare, space = theirs(text, add_special_tokens=False)["input_ids"], room(theirs, pair, 40)
        head = space * 128 // 510
        around = theirs("", pair)["input_ids"] if pair else theirs("")["input_ids"]
        kept = [*bare[:head], *bare[-(space - head) :]]
        assert ids == [around[0], *kept, *around[1:]]
        assert (one.manner, one.truncated, one.tokens, one.weights) == ("head-tail", True, 40, (1,))


def test_what_fits_is_the_same_in_every_reading(both: tuple[Tokenizer, Any]) -> None:
    texts, pairs = ["Short.", "Works as described.", "exactly"], [None, "Fast delivery!", ""]
    encoded = tokenize(both[0], texts, pairs, 40)
    for asked in READINGS:
        for one, expected in zip(readings(both[0], texts, pairs, 40, asked), encoded, strict=True):
            assert (one.manner, one.truncated, one.weights) == ("whole", False, (1,))
            assert ids_of(one) == [expected.ids.tolist()]
            assert one.sequences[0].segment_ids.tolist() == expected.segment_ids.tolist()


def test_the_limit_itself_is_whole_and_one_less_is_not(both: tuple[Tokenizer, Any]) -> None:
    exact = len(both[1](LONG[0])["input_ids"])
    for asked in READINGS:
        found = [readings(both[0], [LONG[0]], [None], exact - less, asked)[0] for less in (0, 1)]
        assert [one.manner for one in found] == ["whole", asked]
        assert found[1].truncated == (asked != "window")
        assert len(found[1].sequences) == (2 if asked == "window" else 1)


def test_truncation_is_as_it_was(both: tuple[Tokenizer, Any]) -> None:
    found = readings(both[0], LONG, PAIRS, 40, "truncate")
    assert [one.sequences[0].ids.tolist() for one in found] == [
        one.ids.tolist() for one in tokenize(both[0], LONG, PAIRS, 40)
    ]
    assert {(one.manner, one.truncated, len(one.sequences)) for one in found} == {("truncate", True, 1)}


def test_a_second_text_too_long_is_cut_and_told(both: tuple[Tokenizer, Any]) -> None:
    found = readings(both[0], [LONG[0], "Short."], [LONG[1]] * 2, 40, "window")
    assert [one.truncated for one in found] == [True, True]
    assert all(part.length <= 40 for one in found for part in one.sequences)
    assert len(found[0].sequences) > 10
    # With a short first text there is one sequence, which is what truncation makes of it.
    assert ids_of(found[1]) == [tokenize(both[0], ["Short."], [LONG[1]], 40)[0].ids.tolist()]


@pytest.mark.parametrize("asked", ["window", "head-tail"])
def test_remembered_words_have_the_sequences_of_the_rust_tokenizer(
    real: tuple[Tokenizer, list[str]], asked: str
) -> None:
    tokenizer, texts = real
    assert tokenizer.words is not None
    remembered = readings(tokenizer, texts, [None] * REAL, 128, asked)
    # With a pair among them, all are left to Rust.
    rust = readings(tokenizer, [*texts, "one"], [*[None] * REAL, "pair"], 128, asked)[:-1]
    assert {one.manner for one in rust} == {"whole", asked}
    for ours, theirs in zip(remembered, rust, strict=True):
        assert (ids_of(ours), ours.weights, ours.manner) == (ids_of(theirs), theirs.weights, theirs.manner)


def test_windows_are_sequences_of_their_own_and_fill_their_batches(real: tuple[Tokenizer, list[str]]) -> None:
    tokenizer, texts = real
    sequences = Sequences(readings(tokenizer, texts, [None] * REAL, 128, "window"))
    lengths = [one.length for one in sequences.encoded]
    assert len(lengths) > 3 * REAL
    batches = [cut.indices for cut in BatchCutter(BatchCosts()).cut(lengths, 4_096)]
    area = sum(len(batch) * max(lengths[at] for at in batch) for batch in batches)
    assert sum(lengths) > 0.97 * area
    assert area / len(batches) > 0.9 * 4_096
    assert [sequences.review_of[place[-1]] for place in sequences.places] == list(range(REAL))
    assert [at for place in sequences.places for at in place] == list(range(len(lengths)))


def test_a_review_that_cannot_be_tokenized_is_told_from_the_others(both: tuple[Tokenizer, Any]) -> None:
    each = read_each(both[0], [LONG[0], "\ud800", "good"], [None] * 3, 40, "window")
    assert [type(one) for one in each] == [Reading, str, Reading]


def test_windows_leave_the_limits_alone_that_another_thread_may_just_have_set(both: tuple[Tokenizer, Any]) -> None:
    # With pairs, so that no family looks its words up.
    pairs: list[str | None] = ["good"] * len(LONG)
    readings(both[0], LONG, pairs, 40, "truncate")
    limits = both[0].rust.truncation
    readings(both[0], LONG, pairs, 40, "window")
    assert both[0].rust.truncation == limits
    assert limits["max_length"] == 40


def test_an_order_that_is_not_known_is_refused() -> None:
    assert [asked_reading(params) for params in ({}, {"long": "window"})] == ["truncate", "window"]
    for unknown in ("sideways", "whole", None, 7):
        with pytest.raises(UnknownReading, match="truncate, head-tail, window; not"):
            asked_reading({"long": unknown})


def test_an_answer_serves_who_asks_for_the_same_and_of_a_whole_text_everybody() -> None:
    assert [reusable_readings(asked) for asked in READINGS] == [["whole", asked] for asked in READINGS]
