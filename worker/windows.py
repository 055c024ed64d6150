"""Dividing a tokenized review that is longer than its model takes into sequences that it does take."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from worker.checkpoints.tokenizer import Encoded, Whole

#: Of the tokens of a text that there is room for, so many from its head and the rest from its tail: 128 of 510.
#: Source: Sun et al. (2019), How to Fine-Tune BERT for Text Classification?, section 5.3.1.
_HEAD, _HEAD_AND_TAIL = 128, 510

#: Begin and end of a part of a text, counted in its tokens.
Span = tuple[int, int]


def head_and_tail(tokens: int, room: int) -> list[Span]:
    """Its first and its last tokens, of a text of more tokens than there is room for."""
    head = room * _HEAD // _HEAD_AND_TAIL
    return [(0, head), (tokens - (room - head), tokens)]


def windows(tokens: int, room: int) -> list[Span]:
    """Parts of `room` tokens, each of which has half of the one before, of a text of more tokens than that.

    The last ends with the text and is shorter, but longer than that half. They are those of transformers'
    `return_overflowing_tokens` under `stride=room // 2`.
    """
    overlap = room // 2
    return [(begin, min(begin + room, tokens)) for begin in range(0, tokens - overlap, room - overlap)]


def new_tokens(spans: Sequence[Span]) -> list[int]:
    """How many tokens of the text each of its windows has that none before it has. Together they are the text's."""
    return [end - before for before, end in pairwise([0, *(end for _, end in spans)])]


def fit_pair(whole: Whole, max_tokens: int, side: str) -> tuple[Whole, int]:
    """Shorten a second text that leaves too little to the first; return the review, and the first one's room in tokens.

    A second text may take what the first leaves of `max_tokens`, and in any case half of what there is for both. Beyond
    that it loses tokens on that side, left or right. It stands behind the first, as in all families.
    """
    text, pair = _tokens(whole.text), _tokens(whole.pair)
    both = max_tokens - (len(whole.ids) - text - pair)
    kept = min(pair, max(both // 2, both - text))
    begin, end = whole.pair.start, whole.pair.stop
    left_out = slice(begin + kept, end) if side == "right" else slice(begin, end - kept)
    ids, segment_ids = np.delete(whole.ids, left_out), np.delete(whole.segment_ids, left_out)
    return Whole(ids, segment_ids, whole.text, slice(begin, begin + kept)), both - kept


def sequence_of(whole: Whole, spans: Sequence[Span], *, truncated: bool) -> Encoded:
    """The review with these parts of its first text alone: special tokens and second text as they were."""
    first, last = whole.text.start, whole.text.stop
    kept = [slice(first), *(slice(first + begin, first + end) for begin, end in spans), slice(last, None)]
    ids, segment_ids = (np.concatenate([array[one] for one in kept]) for array in (whole.ids, whole.segment_ids))
    return Encoded(ids, segment_ids, len(ids), truncated)


def _tokens(place: slice) -> int:
    return int(place.stop - place.start)
