"""A memory of words for WordPiece tokenizers: a word that came before is not tokenized again.

BERT's kind of tokenizer works word by word: its normalizer goes character by character, its pre-tokenizer splits at
white space and makes a word of every punctuation mark, and no piece of its vocabulary reaches over such a border.
Words repeat, reviews hardly do, so looking words up costs a fraction of tokenizing every review whole.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

#: Token ids of a generation of words: two of them are some 20 MB with their words.
_MOST_IDS = 100_000
_MARKS = re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
#: Stands between two texts; one in which it stands itself is left to Rust.
_BETWEEN = "\0"
#: Runs of anything but the space and the punctuation of ASCII, and each such mark. What else ends a word to the
#: tokenizer may stand in the middle of a run: the run then has the ids of several words.
_find_words = re.compile(f"[^ {_BETWEEN}{_MARKS}]+|[{_BETWEEN}{_MARKS}]").findall
#: Token ids as bytes: joined by the thousand they become an array at once.
_ID = np.dtype(np.int32)
#: Between words that are tokenized in one text, as many as that.
_STOP, _WORDS_OF_A_LINE = " . ", 64
#: No token's id: stands between those of two texts.
_NO_ID = -1


@dataclass(slots=True)
class KnownWords:
    """The token ids of words seen of late, and those that stand `before` and `after` every text.

    Words come in two generations: a full one is kept, until the next is full, for what comes again. So those that
    repeat stay, and numbers, which hardly do, come to a memory that stays the same.
    `rust` sets no limits to length. A text in which `odd` finds something, a token such as "[SEP]" say, is not taken
    apart; `stop` is the id of a full stop. Several threads may share one.
    """

    rust: Any
    before: np.ndarray
    after: np.ndarray
    odd: re.Pattern[str]
    stop: int
    _young: dict[str, bytes] = field(default_factory=dict)
    _old: dict[str, bytes] = field(default_factory=dict)
    _kept: int = 0

    def tokenize(self, texts: Sequence[str], max_tokens: int, side: str) -> list[tuple[np.ndarray, bool]]:
        """The ids of each text, int32 [length], special tokens included, and whether tokens were cut off.

        What is too long loses tokens on that side, left or right, down to `max_tokens`.
        """
        most = max(max_tokens, len(self.before) + len(self.after))
        rows = self._rows(texts)
        return [(row, False) if len(row) <= most else (self._cut(row, most, side), True) for row in rows]

    def _cut(self, row: np.ndarray, most: int, side: str) -> np.ndarray:
        if side == "right":
            return np.concatenate([row[: most - len(self.after)], self.after])
        return np.concatenate([self.before, row[len(row) - most + len(self.before) :]])

    def _rows(self, texts: Sequence[str]) -> list[np.ndarray]:
        is_odd = self.odd.search
        odd = {at: text for at, text in enumerate(texts) if is_odd(text)}
        rows = self._from_words(["" if at in odd else text for at, text in enumerate(texts)] if odd else texts)
        for at, ids in zip(odd, self._by_rust(list(odd.values())), strict=True):
            rows[at] = np.concatenate([self.before, ids, self.after])
        return rows

    def _by_rust(self, texts: list[str]) -> list[np.ndarray]:
        encodings = self.rust.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(one.ids, _ID) for one in encodings]

    def _from_words(self, texts: Sequence[str]) -> list[np.ndarray]:
        between = np.array([*self.after, _NO_ID, *self.before], _ID).tobytes()
        words = _find_words(_BETWEEN.join(texts))
        joined = b"".join((self.before.tobytes(), *self._ids(words, between), self.after.tobytes()))
        ids = np.frombuffer(joined, _ID)
        ends = np.flatnonzero(ids == _NO_ID).tolist()
        return [ids[before + 1 : end] for before, end in pairwise([-1, *ends, len(ids)])][: len(texts)]

    def _ids(self, words: Sequence[str], between: bytes) -> Sequence[bytes]:
        # Held here: another thread may begin a generation meanwhile.
        young = self._young
        young[_BETWEEN] = between
        ids: list[Any] = [*map(young.get, words)]  # one look at each: they are most of what tokenizing costs
        unknown = [at for at, one in enumerate(ids) if one is None] if None in ids else []
        self._learn(young, {words[at] for at in unknown})
        for at in unknown:
            ids[at] = young[words[at]]
        return ids

    def _learn(self, young: dict[str, bytes], unknown: set[str]) -> None:
        if not unknown:
            return
        old = self._old
        learned = {word: old[word] for word in unknown if word in old}
        new = [word for word in unknown if word not in learned]
        learned.update(zip(new, self._encode(new), strict=True))
        young.update(learned)
        self._kept += len(learned) + sum(map(len, learned.values())) // _ID.itemsize
        if self._kept > _MOST_IDS:
            self._young, self._old, self._kept = {}, young, 0

    def _encode(self, words: list[str]) -> Iterator[bytes]:
        """The ids of each word: of many in one text, told apart by full stops, in half the time."""
        lines = [words[at : at + _WORDS_OF_A_LINE] for at in range(0, len(words), _WORDS_OF_A_LINE)]
        for line, ids in zip(lines, self._by_rust([_STOP.join(line) for line in lines]), strict=True):
            stops = np.flatnonzero(ids == self.stop).tolist()
            if len(stops) == len(line) - 1:
                yield from (ids[before + 1 : end].tobytes() for before, end in pairwise([-1, *stops, len(ids)]))
            else:  # one of the words is a full stop
                yield from (one.tobytes() for one in self._by_rust(line))


def known_words(rust: Any) -> KnownWords | None:
    """A memory for this tokenizer, still empty; None where it does not work word by word."""
    whole = rust.to_str()
    stored = json.loads(whole)
    if not _is_berts(stored):
        return None
    own = without_limits(rust, whole)
    framed, bare = own.encode("a"), own.encode("a", add_special_tokens=False)
    stops = own.encode(_STOP, add_special_tokens=False).ids
    if len(stops) != 1 or len(bare.ids) != 1 or framed.ids.count(bare.ids[0]) != 1 or any(framed.type_ids):
        return None
    at = framed.ids.index(bare.ids[0])
    odd = (_BETWEEN, *(token["content"] for token in stored["added_tokens"]))
    before, after = np.array(framed.ids[:at], _ID), np.array(framed.ids[at + 1 :], _ID)
    return KnownWords(own, before, after, re.compile("|".join(map(re.escape, odd))), stops[0])


def without_limits(rust: Any, stored: str | None = None) -> Any:
    """A copy of a tokenizer, from what it was stored as if that is at hand, which cuts and pads nothing."""
    copy = type(rust).from_str(stored or rust.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _is_berts(stored: dict[str, Any]) -> bool:
    """Whether it is put together as BERT's is, and looks for added tokens in the text as it came."""
    parts = [(stored[part] or {}).get("type") for part in ("normalizer", "pre_tokenizer", "model")]
    looks_early = not any(token["normalized"] for token in stored["added_tokens"])
    return parts == ["BertNormalizer", "BertPreTokenizer", "WordPiece"] and looks_early
