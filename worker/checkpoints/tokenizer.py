"""Tokenizers of checkpoints, in bulk: the Rust part of what transformers builds, called directly."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from worker.checkpoints.words import KnownWords, known_words, without_limits
from worker.errors import CheckpointLoadError

_RUST_FILE = "tokenizer.json"
_FACTS_FILE = "tokenizer_facts.json"
#: The place of a text that has no tokens.
_NOWHERE = slice(0, 0)

_Tokenized = TypeVar("_Tokenized")
#: Tokenizes texts and their pairs, or fails.
_TokenizeAll = Callable[[Sequence[str], Sequence[str | None]], Sequence[_Tokenized]]


@dataclass(slots=True)
class Tokenizer:
    """The Rust tokenizer of a checkpoint, and what else is needed to feed its model.

    `truncation_side` is left or right; without `has_segments` a model takes all its segment ids as 0. `words` are
    those that need not be tokenized again, where the tokenizer works word by word.
    """

    rust: Any
    pad_token_id: int
    truncation_side: str
    has_segments: bool
    words: KnownWords | None = field(init=False)
    _unlimited: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.words = known_words(self.rust)

    @property
    def unlimited(self) -> Any:
        """The Rust tokenizer without limits: a copy, for another thread may set those of the other one meanwhile."""
        if self._unlimited is None:
            self._unlimited = self.words.rust if self.words else without_limits(self.rust)
        return self._unlimited

    def save(self, folder: Path) -> None:
        """Write it into a folder, for read_tokenizer."""
        self.rust.save(str(folder / _RUST_FILE))
        facts = {name: getattr(self, name) for name in ("pad_token_id", "truncation_side", "has_segments")}
        (folder / _FACTS_FILE).write_text(json.dumps(facts), encoding="utf-8")


def read_tokenizer(folder: Path) -> Tokenizer:
    """Read what Tokenizer.save wrote; transformers, which takes seconds to import, is not needed."""
    from tokenizers import Tokenizer as RustTokenizer

    facts = json.loads((folder / _FACTS_FILE).read_text(encoding="utf-8"))
    return Tokenizer(RustTokenizer.from_file(str(folder / _RUST_FILE)), **facts)


class Encoded(NamedTuple):
    """One tokenized review, or a part of one, as a model reads it at once.

    ids and segment_ids are int32 [length], special tokens included; truncated is true when tokens of the review
    were cut off.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    length: int
    truncated: bool


class Whole(NamedTuple):
    """One tokenized review of which nothing was cut off.

    ids and segment_ids are int32 [length], special tokens included. `text` and `pair` are the places of the tokens of
    the first and of the second text; of one that has none it is empty.
    """

    ids: np.ndarray
    segment_ids: np.ndarray
    text: slice
    pair: slice


def load_tokenizer(directory: Path) -> Tokenizer:
    """Load the fast tokenizer of a checkpoint directory, from its files alone; raises CheckpointLoadError."""
    from transformers import AutoTokenizer

    try:
        # No code of the checkpoint's own is run, and nobody is asked whether it may be.
        tokenizer = AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, use_fast=True, trust_remote_code=False
        )
    except Exception as error:  # transformers and its Rust part raise many kinds, all about the files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointLoadError(f"{directory}: the tokenizer cannot be read: {reason}") from error
    if not tokenizer.is_fast:
        raise CheckpointLoadError(f"{directory}: it has only a slow tokenizer; add the tokenizer.json of its fast one")
    # A tokenizer may be told to leave segments out; the model then takes them as 0.
    has_segments = "token_type_ids" in tokenizer.model_input_names
    return Tokenizer(tokenizer.backend_tokenizer, tokenizer.pad_token_id, tokenizer.truncation_side, has_segments)


def tokenize(
    tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str | None] | None, max_tokens: int
) -> list[Encoded]:
    """Tokenize reviews, some or all of them with a pair, cut to max_tokens with the special tokens.

    Cuts as the text-classification pipeline does under truncation=True: the longest of text and pair first.
    An empty pair is no pair, there as here. One tokenizer must not be used with different max_tokens from
    two threads at once.
    """
    if tokenizer.words is not None and not (pairs and any(pairs)):
        return _from_words(tokenizer.words.tokenize(texts, max_tokens, tokenizer.truncation_side))
    _set_limits(tokenizer.rust, max_tokens, tokenizer.truncation_side)
    encodings = tokenizer.rust.encode_batch_fast(_inputs(texts, pairs))
    return [_encoded(encoding, tokenizer.has_segments) for encoding in encodings]


def tokenize_whole(tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str | None]) -> list[Whole]:
    """Tokenize reviews as `tokenize` does, but for the cut: however long they are, all of each."""
    if tokenizer.words is not None and not any(pairs):
        return _whole_from_words(tokenizer.words, texts)
    encodings = tokenizer.unlimited.encode_batch_fast(_inputs(texts, pairs))
    return [_whole(encoding, tokenizer.has_segments) for encoding in encodings]


def tokenize_each(
    tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str | None], max_tokens: int
) -> list[Encoded | str]:
    """Tokenize as `tokenize` does; where that fails, one review at a time, with the reason of each that fails."""
    return each_or_reason(lambda some, theirs: tokenize(tokenizer, some, theirs, max_tokens), texts, pairs)


def each_or_reason(
    tokenize_all: _TokenizeAll[_Tokenized], texts: Sequence[str], pairs: Sequence[str | None]
) -> list[_Tokenized | str]:
    """Tokenize reviews all at once; where that fails, one at a time, with the reason of each that fails."""
    try:
        return list(tokenize_all(texts, pairs))
    except Exception:
        return [_one_or_reason(tokenize_all, text, pair) for text, pair in zip(texts, pairs, strict=True)]


def _one_or_reason(tokenize_all: _TokenizeAll[_Tokenized], text: str, pair: str | None) -> _Tokenized | str:
    try:
        (tokenized,) = tokenize_all([text], [pair])
    except Exception as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return tokenized


def _from_words(rows: Sequence[tuple[np.ndarray, bool]]) -> list[Encoded]:
    # Every review without a pair is one segment, 0 throughout.
    zeros = np.zeros(max((len(ids) for ids, _ in rows), default=0), np.int32)
    return [Encoded(ids, zeros[: len(ids)], len(ids), truncated) for ids, truncated in rows]


def _whole_from_words(words: KnownWords, texts: Sequence[str]) -> list[Whole]:
    begin, after = len(words.before), len(words.after)
    rows = _from_words(words.tokenize(texts, sys.maxsize, "right"))
    return [Whole(row.ids, row.segment_ids, slice(begin, row.length - after), _NOWHERE) for row in rows]


def _whole(encoding: Any, segments: bool) -> Whole:
    row, texts = _encoded(encoding, segments), encoding.sequence_ids
    return Whole(row.ids, row.segment_ids, _place(texts, 0), _place(texts, 1))


def _place(texts: Sequence[int | None], number: int) -> slice:
    """Where the tokens of the text with that number are, which stand beside each other."""
    if number not in texts:
        return _NOWHERE
    first = texts.index(number)
    return slice(first, first + texts.count(number))


def _set_limits(rust: Any, max_tokens: int, side: str) -> None:
    wanted = {"max_length": max_tokens, "stride": 0, "strategy": "longest_first", "direction": side}
    if rust.truncation != wanted:
        rust.enable_truncation(**wanted)
    # tokenizer.json may come with a padding of its own, which would pass for tokens.
    if rust.padding is not None:
        rust.no_padding()


def _inputs(texts: Sequence[str], pairs: Sequence[str | None] | None) -> list[str | tuple[str, str]]:
    if pairs is None:
        return list(texts)
    return [(text, pair) if pair else text for text, pair in zip(texts, pairs, strict=True)]


def _encoded(encoding: Any, segments: bool) -> Encoded:
    ids = np.array(encoding.ids, dtype=np.int32)
    segment_ids = np.array(encoding.type_ids, dtype=np.int32) if segments else np.zeros_like(ids)
    return Encoded(ids, segment_ids, len(ids), bool(encoding.overflowing))
