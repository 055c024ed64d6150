"""What is read of a review: all of it where its model takes it at once, else what its job asks for."""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from db.tables import HEAD_TAIL, READINGS, TRUNCATE, WHOLE
from worker.checkpoints.tokenizer import Encoded, Tokenizer, Whole, each_or_reason, tokenize_each, tokenize_whole
from worker.errors import UnknownReading
from worker.windows import fit_pair, head_and_tail, new_tokens, sequence_of, windows

_ALONE = (1,)


class Reading(NamedTuple):
    """What is read of one review: sequences in the order of its text, and by what each one's answer is weighted.

    `manner` is whole, or one of READINGS for a review that is longer than its model takes.
    """

    manner: str
    sequences: Sequence[Encoded]
    weights: Sequence[int]

    @property
    def tokens(self) -> int:
        """The tokens read, special ones included, and those of an overlap as often as they are read."""
        return sum(one.length for one in self.sequences)

    @property
    def truncated(self) -> bool:
        """Whether some of the review is not read at all."""
        return self.sequences[0].truncated


class Sequences:
    """The sequences of many readings, one after the other.

    `review_of` is the index of each one's reading, `places` those of each reading's sequences.
    """

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.readings = readings
        self.encoded = [one for reading in readings for one in reading.sequences]
        ends = accumulate((len(reading.sequences) for reading in readings), initial=0)
        self.places = [range(begin, end) for begin, end in pairwise(ends)]
        self.review_of = [at for at, place in enumerate(self.places) for _ in place]


def asked_reading(params: Mapping[str, Any]) -> str:
    """How a job wants texts to be read that are longer than its model takes. Raises UnknownReading."""
    asked = params.get("long", TRUNCATE)
    if asked not in READINGS:
        raise UnknownReading(f"long texts can be read in these ways: {', '.join(READINGS)}; not {asked!r}")
    return str(asked)


def reusable_readings(asked: str) -> list[str]:
    """The readings whose answers of before serve a job that asks for this one: a text that fits is the same in all."""
    return [WHOLE, asked]


def read_each(
    tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str | None], max_tokens: int, asked: str
) -> list[Reading | str]:
    """Read reviews, some or all of them with a pair, as asked; with the reason of each that cannot be tokenized."""
    if asked == TRUNCATE:
        each = tokenize_each(tokenizer, texts, pairs, max_tokens)
        return [one if isinstance(one, str) else _at_once(one) for one in each]
    side = tokenizer.truncation_side

    def read(some: Sequence[str], theirs: Sequence[str | None]) -> list[Reading]:
        return [_read(one, max_tokens, side, asked) for one in tokenize_whole(tokenizer, some, theirs)]

    return each_or_reason(read, texts, pairs)


def _at_once(encoded: Encoded, asked: str = TRUNCATE) -> Reading:
    return Reading(asked if encoded.truncated else WHOLE, (encoded,), _ALONE)


def _read(whole: Whole, max_tokens: int, side: str, asked: str) -> Reading:
    if len(whole.ids) <= max_tokens:
        return _at_once(Encoded(whole.ids, whole.segment_ids, len(whole.ids), truncated=False))
    fitting, room = fit_pair(whole, max_tokens, side)
    tokens = fitting.text.stop - fitting.text.start
    if tokens <= room:
        return _at_once(sequence_of(fitting, [(0, tokens)], truncated=True), asked)
    if asked == HEAD_TAIL:
        return _at_once(sequence_of(fitting, head_and_tail(tokens, room), truncated=True), asked)
    spans = windows(tokens, room)
    is_cut = len(fitting.ids) < len(whole.ids)
    return Reading(asked, [sequence_of(fitting, [one], truncated=is_cut) for one in spans], new_tokens(spans))
