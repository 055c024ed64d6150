"""A memory of words for WordPiece tokenizers: a word that came before is not tokenized again.

BERT's kind of tokenizer works word by word: its normalizer goes character by character, its pre-tokenizer splits at
white space and makes a word of every punctuation mark, and no piece of its vocabulary reaches over such a border.
Words repeat, reviews hardly do, so looking words up costs a fraction of tokenizing every review whole.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np

#: Token ids of a generation of words: two of them are some 20 MB with their words.
_MOST_IDS = 100_000
_MARKS = re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
#: Runs of anything but the space and the punctuation of ASCII, and each such mark. What else ends a word to the
#: tokenizer may stand in the middle of a run: the run then has the ids of several words.
_find_words = re.compile(f"[^ {_MARKS}]+|[{_MARKS}]").findall

_Ids = tuple[int, ...]


@dataclass(slots=True)
class KnownWords:
    """The token ids of words seen of late, and those that stand `before` and `after` every text.

    Words come in two generations: a full one is kept, until the next is full, for what comes again. So those that
    repeat stay, and numbers, which hardly do, come to a memory that stays the same.
    `rust` sets no limits to length. A text in which `specials` finds a token such as "[SEP]" is not taken apart.
    Several threads may share one.
    """

    rust: Any
    before: _Ids
    after: _Ids
    specials: re.Pattern[str]
    _words: dict[str, _Ids] = field(default_factory=dict)
    _older: dict[str, _Ids] = field(default_factory=dict)
    _kept: int = 0

    def tokenize(self, texts: Sequence[str], max_tokens: int, side: str) -> list[tuple[np.ndarray, bool]]:
        """The ids of each text, int32 [length], special tokens included, and whether tokens were cut off.

        What is too long loses tokens on that side, left or right, down to `max_tokens`.
        """
        bare = self._bare(texts)
        around = len(self.before) + len(self.after)
        room = max(0, max_tokens - around)
        ids = np.array([*chain.from_iterable(self._framed(bare, room, side))], np.int32)
        ends = accumulate((min(len(one), room) + around for one in bare), initial=0)
        return [(ids[begin:end], len(one) > room) for (begin, end), one in zip(pairwise(ends), bare, strict=True)]

    def _bare(self, texts: Sequence[str]) -> list[list[int]]:
        is_special = self.specials.search
        split = [[text] if is_special(text) else _find_words(text) for text in texts]
        # Held here: another thread may begin a generation meanwhile.
        words = self._words
        self._learn(words, set(chain.from_iterable(split)).difference(words))
        return [[*chain.from_iterable(map(words.__getitem__, parts))] for parts in split]

    def _framed(self, bare: Iterable[list[int]], room: int, side: str) -> Iterator[Iterable[int]]:
        for ids in bare:
            yield self.before
            yield ids if len(ids) <= room else ids[:room] if side == "right" else ids[len(ids) - room :]
            yield self.after

    def _learn(self, words: dict[str, _Ids], unknown: set[str]) -> None:
        older = self._older
        learned = {word: older[word] for word in unknown if word in older}
        new = list(unknown.difference(learned))
        encodings = self.rust.encode_batch_fast(new, add_special_tokens=False)
        learned.update((word, tuple(encoding.ids)) for word, encoding in zip(new, encodings, strict=True))
        words.update(learned)
        self._kept += len(learned) + sum(map(len, learned.values()))
        if self._kept > _MOST_IDS:
            self._words, self._older, self._kept = {}, words, 0


def known_words(rust: Any) -> KnownWords | None:
    """A memory for this tokenizer, still empty; None where it does not work word by word."""
    whole = rust.to_str()
    stored = json.loads(whole)
    if not _is_berts(stored):
        return None
    own = without_limits(rust, whole)
    framed, bare = own.encode("a"), own.encode("a", add_special_tokens=False)
    if len(bare.ids) != 1 or framed.ids.count(bare.ids[0]) != 1 or any(framed.type_ids):
        return None
    at = framed.ids.index(bare.ids[0])
    specials = "|".join(re.escape(token["content"]) for token in stored["added_tokens"])
    # Without any, what never matches.
    pattern = re.compile(specials or r"(?!)")
    return KnownWords(own, tuple(framed.ids[:at]), tuple(framed.ids[at + 1 :]), pattern)


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
