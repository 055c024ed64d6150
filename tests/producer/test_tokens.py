"""Tokens are counted as the worker counts them."""

import shutil
from pathlib import Path

import pytest

from producer.errors import ModelError
from producer.tokens import count_tokens
from tests.samples import CHECKPOINTS
from worker.checkpoints.tokenizer import load_tokenizer, tokenize

TEXTS = [
    ("The battery lasts two days.", None),
    ("Short", "Great value: fast delivery!"),
    ("", None),
    ("It broke after a week. " * 30, "Not bad for the price. " * 30),
    ("word " * 62, None),
    ("\N{GRINNING FACE} הסרט café naïve [SEP] <s>", ""),
]


@pytest.mark.parametrize("name", sorted(path.name for path in CHECKPOINTS.iterdir() if path.is_dir()))
def test_tokens_are_those_that_the_worker_counts(name: str) -> None:
    directory = CHECKPOINTS / name
    texts, pairs = [text for text, _ in TEXTS], [pair for _, pair in TEXTS]
    tokenizer = load_tokenizer(directory)
    for max_tokens in (64, 12):
        encoded = tokenize(tokenizer, texts, pairs, max_tokens)
        alone = tokenize(tokenizer, texts, None, max_tokens)
        assert count_tokens(directory, TEXTS, max_tokens) == [(one.length, one.truncated) for one in encoded]
        counted = count_tokens(directory, [(text, None) for text in texts], max_tokens)
        assert counted == [(one.length, one.truncated) for one in alone]


def test_without_a_tokenizer_file_nothing_is_counted(tmp_path: Path) -> None:
    assert count_tokens(tmp_path, TEXTS, 64) is None


def test_a_tokenizer_file_that_is_none_is_told_in_a_line(tmp_path: Path) -> None:
    shutil.copy(CHECKPOINTS / "bert" / "config.json", tmp_path / "tokenizer.json")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read: "):
        count_tokens(tmp_path, TEXTS, 64)
