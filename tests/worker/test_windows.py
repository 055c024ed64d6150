"""A long text is divided so that nothing is lost, and nothing is longer than the model takes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.checkpoints.tokenizer import Whole
from worker.windows import fit_pair, head_and_tail, new_tokens, sequence_of, windows

rooms_and_tokens = st.tuples(st.integers(1, 60), st.integers(1, 400)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def whole(text: int, pair: int) -> Whole:
    """Tokens 100, 101 ... of a first text and 200, 201 ... of a second, between the special tokens 1, 2 and 3."""
    first, second = [*range(100, 100 + text)], [*range(200, 200 + pair)]
    ids = [1, *first, 2, *([*second, 3] if pair else [])]
    segments = [0] * (text + 2) + ([1] * (pair + 1) if pair else [])
    begin = text + 2
    return Whole(np.int32(ids), np.int32(segments), slice(1, 1 + text), slice(begin, begin + pair))


def test_the_head_and_the_tail_are_128_and_382_of_510() -> None:
    assert head_and_tail(2_000, 510) == [(0, 128), (1_618, 2_000)]
    assert head_and_tail(63, 62) == [(0, 15), (16, 63)]
    assert head_and_tail(5, 1) == [(0, 0), (4, 5)]


@pytest.mark.parametrize(
    ("tokens", "room", "spans", "new"),
    [
        (11, 10, [(0, 10), (5, 11)], [10, 1]),
        (15, 10, [(0, 10), (5, 15)], [10, 5]),
        (16, 10, [(0, 10), (5, 15), (10, 16)], [10, 5, 1]),
        (9, 5, [(0, 5), (3, 8), (6, 9)], [5, 3, 1]),
        (3, 1, [(0, 1), (1, 2), (2, 3)], [1, 1, 1]),
    ],
)
def test_windows_by_hand(tokens: int, room: int, spans: list[tuple[int, int]], new: list[int]) -> None:
    assert windows(tokens, room) == spans
    assert new_tokens(spans) == new


@given(rooms_and_tokens)
def test_windows_read_every_token_with_half_of_what_came_before(sizes: tuple[int, int]) -> None:
    room, tokens = sizes
    spans = windows(tokens, room)
    assert {at for begin, end in spans for at in range(begin, end)} == set(range(tokens))
    assert all(room // 2 < end - begin <= room for begin, end in spans)
    assert all(end - begin == room for begin, end in spans[:-1])
    assert all(before - begin == room // 2 for (_, before), (begin, _) in pairwise(spans))
    new = new_tokens(spans)
    assert sum(new) == tokens
    assert min(new) > 0


@pytest.mark.parametrize(
    ("text", "pair", "kept", "room"),
    [
        (100, 5, 5, 12),  # there is room for 17 beside three special tokens
        (100, 8, 8, 9),
        (100, 9, 8, 9),
        (100, 500, 8, 9),
        (4, 500, 13, 4),
        (9, 9, 8, 9),
    ],
)
def test_a_second_text_leaves_half_to_the_first(text: int, pair: int, kept: int, room: int) -> None:
    for side in ("left", "right"):
        fitting, left = fit_pair(whole(text, pair), 20, side)
        assert left == room
        assert fitting.ids[fitting.text].tolist() == [*range(100, 100 + text)]
        first = 200 if side == "right" else 200 + pair - kept
        assert fitting.ids[fitting.pair].tolist() == [*range(first, first + kept)]
        assert fitting.segment_ids.tolist() == [0] * (text + 2) + [1] * (kept + 1)


def test_a_text_alone_has_all_the_room() -> None:
    fitting, room = fit_pair(whole(100, 0), 20, "right")
    assert (fitting.ids.tolist(), room) == (whole(100, 0).ids.tolist(), 18)


def test_a_sequence_has_special_tokens_and_the_second_text_around_what_is_kept() -> None:
    one = sequence_of(whole(10, 2), [(0, 2), (7, 10)], truncated=True)
    assert one.ids.tolist() == [1, 100, 101, 107, 108, 109, 2, 200, 201, 3]
    assert one.segment_ids.tolist() == [0] * 7 + [1] * 3
    assert (one.length, one.truncated) == (10, True)
    assert one.ids.dtype == one.segment_ids.dtype == np.int32
