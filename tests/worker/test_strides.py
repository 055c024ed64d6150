"""How many full chunks of a job are claimed at once: as many as are worked on in a moment."""

from dataclasses import replace

import pytest

from db.claims import Claim
from worker.strides import Strides

CHUNK = Claim(1, 1, "me", 7, "score", "normal", 1, {}, list(range(1_000)), 0, 0, alone=False, taken_along=False)


def after(*noted: tuple[int, int, float]) -> int:
    """The stride of a job of which so many chunks at once, with so many reviews inferred, took so many seconds."""
    strides = Strides()
    for chunks, inferred, seconds in noted:
        strides.note([CHUNK] * chunks, inferred, seconds)
    return strides.of(CHUNK.job_id)


def test_a_chunk_at_a_time_until_one_is_known() -> None:
    assert Strides().of(7) == 1


@pytest.mark.parametrize(
    ("chunks", "seconds", "stride"), [(1, 0.04, 2), (2, 0.08, 4), (2, 0.19, 3), (4, 0.38, 3), (4, 2.0, 1), (1, 5.0, 1)]
)
def test_as_many_as_fit_into_a_moment_and_at_most_twice_as_many_as_before(
    chunks: int, seconds: float, stride: int
) -> None:
    assert after((chunks, chunks * 1_000, seconds)) == stride


def test_no_more_than_eight_however_fast() -> None:
    assert after((8, 8_000, 0.001)) == after((8, 8_000, 0.0)) == 8


def test_reviews_that_were_scored_before_tell_nothing_of_new_ones() -> None:
    # Nothing was inferred, or a tenth: a whole chunk takes ten times as long.
    assert after((1, 0, 0.01)) == 1
    assert after((2, 200, 0.05)) == 1
    assert after((2, 2_000, 0.05)) == 4


def test_each_job_has_its_own_and_what_several_took_is_nobodys() -> None:
    strides = Strides()
    other = replace(CHUNK, job_id=8)
    strides.note([CHUNK], 1_000, 0.01)
    strides.note([CHUNK, other], 2_000, 0.01)
    assert (strides.of(7), strides.of(8)) == (2, 1)
    strides.note([other], 1_000, 9.0)
    assert (strides.of(7), strides.of(8)) == (2, 1)


def test_jobs_met_long_ago_are_forgotten() -> None:
    strides = Strides()
    for job_id in (1, 2, *range(3, 101), 1, 101):
        strides.note([replace(CHUNK, job_id=job_id)], 1_000, 0.01)
    assert [strides.of(job_id) for job_id in (1, 2, 3, 101)] == [2, 1, 2, 2]
