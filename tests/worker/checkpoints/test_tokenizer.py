"""Token ids are those of the pipeline, and what was cut is told truly."""

import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import AutoTokenizer

from producer.checkpoints import minilm_directory
from producer.sources import open_source
from worker.checkpoints.tokenizer import Tokenizer, load_tokenizer, tokenize
from worker.checkpoints.words import known_words
from worker.errors import CheckpointLoadError

TEXTS = ["The battery lasts two days.", "Short", "", "It broke after a week. " * 30, "😀 הסרט"]
PAIRS = [None, "Great value: fast delivery!", None, "Not bad for the price. " * 30, ""]


@pytest.fixture(params=["bert", "distilbert", "roberta", "xlm-roberta", "albert"])
def tokenizer(request: pytest.FixtureRequest, checkpoints: Path) -> Any:
    return load_tokenizer(checkpoints / request.param)


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "xlm-roberta", "albert"])
def test_ids_and_segments_are_those_of_transformers(checkpoints: Path, name: str) -> None:
    encoded = tokenize(load_tokenizer(checkpoints / name), TEXTS, PAIRS, 40)
    theirs = AutoTokenizer.from_pretrained(str(checkpoints / name))
    for text, pair, row in zip(TEXTS, PAIRS, encoded, strict=True):
        expected = theirs(text, pair, truncation=True, max_length=40)
        assert row.ids.tolist() == expected["input_ids"]
        assert row.segment_ids.tolist() == expected.get("token_type_ids", [0] * row.length)
        assert row.length == len(expected["input_ids"])
        assert row.ids.dtype == row.segment_ids.dtype == np.int32


def test_bert_pairs_have_segments_and_distilbert_s_have_none(checkpoints: Path) -> None:
    bert, distilbert = (load_tokenizer(checkpoints / name) for name in ("bert", "distilbert"))
    assert set(tokenize(bert, ["good"], ["bad"], 40)[0].segment_ids) == {0, 1}
    assert set(tokenize(distilbert, ["good"], ["bad"], 40)[0].segment_ids) == {0}


def test_truncated_only_when_a_token_was_cut(tokenizer: Any) -> None:
    whole = tokenize(tokenizer, TEXTS[:2], PAIRS[:2], 64)
    for text, pair, row in zip(TEXTS, PAIRS, whole, strict=False):
        exact, shorter = (tokenize(tokenizer, [text], [pair], row.length - less)[0] for less in (0, 1))
        assert (row.truncated, exact.truncated, shorter.truncated) == (False, False, True)
        assert shorter.length == row.length - 1


def test_texts_alone_are_as_texts_without_pairs(tokenizer: Any) -> None:
    alone, paired = tokenize(tokenizer, TEXTS, None, 30), tokenize(tokenizer, TEXTS, [None] * len(TEXTS), 30)
    assert [row.ids.tolist() for row in alone] == [row.ids.tolist() for row in paired]


def test_the_limit_of_one_call_does_not_stay(tokenizer: Any) -> None:
    before = tokenize(tokenizer, TEXTS, PAIRS, 40)
    tokenize(tokenizer, TEXTS, PAIRS, 8)
    assert [row.length for row in tokenize(tokenizer, TEXTS, PAIRS, 40)] == [row.length for row in before]


def test_padding_stored_in_the_tokenizer_is_not_taken_for_tokens(checkpoints: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoints / "bert", tmp_path / "padded")
    path = tmp_path / "padded" / "tokenizer.json"
    stored = json.loads(path.read_text("utf-8"))
    stored["padding"] = {
        "strategy": {"Fixed": 50},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    path.write_text(json.dumps(stored), "utf-8")
    assert tokenize(load_tokenizer(tmp_path / "padded"), ["bad"], None, 40)[0].length < 10


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "xlm-roberta", "albert"])
def test_tokenizer_json_alone_is_enough(checkpoints: Path, tmp_path: Path, name: str) -> None:
    for file in ("config.json", "tokenizer.json"):
        shutil.copy(checkpoints / name / file, tmp_path / file)
    alone, whole = load_tokenizer(tmp_path), load_tokenizer(checkpoints / name)
    for one, other in zip(tokenize(alone, TEXTS, PAIRS, 40), tokenize(whole, TEXTS, PAIRS, 40), strict=True):
        assert one.ids.tolist() == other.ids.tolist()
    assert alone.pad_token_id == whole.pad_token_id


def test_unreadable_tokenizer_is_one_line(checkpoints: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoints / "bert" / "config.json", tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointLoadError, match="the tokenizer cannot be read") as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_says_nothing_on_standard_error(checkpoints: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from worker.checkpoints.tokenizer import load_tokenizer, tokenize\n"
        "tokenizer = load_tokenizer(pathlib.Path(sys.argv[1]))\n"
        "tokenize(tokenizer, ['very long ' * 2000, 'short'], ['p', None], 32)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(checkpoints / "bert")], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


@pytest.fixture(scope="module")
def berts(checkpoints: Path) -> tuple[Tokenizer, Any]:
    """A tokenizer that remembers words, and transformers' own."""
    return load_tokenizer(checkpoints / "bert"), AutoTokenizer.from_pretrained(str(checkpoints / "bert"))


#: What the tokenizer may take for the end of a word, drop, fold, or look for before anything else.
PIECES = [
    *"aZé.…-'_/ \t\n\r\x1c\x00\u00a0\u200b\u2028\u3000\u0301中😀İß�",
    "[SEP]",
    "[sep]",
    "[MASK]",
    "[ SEP]",
    "--",
    "  ",
    "unlikeliest",
    "x" * 101,
]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=30), max_size=4))
def test_remembered_words_have_the_ids_of_transformers(berts: tuple[Tokenizer, Any], texts: list[str]) -> None:
    ours, theirs = berts
    assert ours.words is not None
    for _ in range(2):  # all new, then all known
        for side in ("right", "left"):
            rows = ours.words.tokenize(texts, 9, side)
            theirs.truncation_side = side
            assert [ids.tolist() for ids, _ in rows] == [
                theirs(one, truncation=True, max_length=9)["input_ids"] for one in texts
            ]
            assert [cut for _, cut in rows] == [len(theirs(one)["input_ids"]) > 9 for one in texts]


def test_real_reviews_have_the_ids_of_the_rust_tokenizer() -> None:
    tokenizer = load_tokenizer(minilm_directory())
    texts = [str(record.values["text"]) for record in islice(open_source("demo:imdb:test").records(), 2_000)]
    ours = tokenize(tokenizer, texts, None, 256)
    tokenizer.rust.no_padding()
    tokenizer.rust.enable_truncation(256)
    theirs = tokenizer.rust.encode_batch(texts)
    assert [one.ids.tolist() for one in ours] == [one.ids for one in theirs]
    assert [one.truncated for one in ours] == [bool(one.overflowing) for one in theirs]


def test_the_memory_forgets_words_that_do_not_repeat(
    berts: tuple[Tokenizer, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.checkpoints.words._MOST_IDS", 40)
    words = known_words(berts[0].rust)
    assert words is not None
    for number in range(100):
        words.tokenize([f"good film {number}"], 32, "right")
        assert len(words._young) + len(words._old) <= 40
        assert "film" in words._young | words._old
    assert "98" in words._young | words._old
    assert "9" not in words._young | words._old


def test_a_word_of_an_older_generation_is_not_tokenized_again(
    berts: tuple[Tokenizer, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.checkpoints.words._MOST_IDS", 4)
    words = known_words(berts[0].rust)
    assert words is not None
    ids = words.tokenize(["film"], 32, "right")[0][0].tolist()
    words.tokenize(["a good wonderful film"], 32, "right")
    assert (words._young, "film" in words._old) == ({}, True)
    words.rust = SimpleNamespace(encode_batch_fast=lambda new, **_: [words.rust] * len(new))  # which has no ids
    assert words.tokenize(["film"], 32, "right")[0][0].tolist() == ids


@pytest.mark.parametrize("name", ["roberta", "xlm-roberta", "albert"])
def test_other_kinds_of_tokenizers_remember_nothing(checkpoints: Path, name: str) -> None:
    assert load_tokenizer(checkpoints / name).words is None


def test_an_added_token_that_folds_letters_forbids_the_memory(checkpoints: Path) -> None:
    rust = load_tokenizer(checkpoints / "bert").rust
    rust.add_tokens([AddedToken("New York", normalized=True)])
    assert known_words(rust) is None
