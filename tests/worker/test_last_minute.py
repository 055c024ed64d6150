"""What a process did in the last minute, by a clock that the test sets."""

import pytest

from worker.last_minute import DeviceLock, ReviewRate


class SetClock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def hold(lock: DeviceLock, clock: SetClock, from_s: float, to_s: float) -> None:
    clock.now_s = from_s
    with lock:
        clock.now_s = to_s


def test_busy_is_the_share_of_the_last_minute_that_the_device_was_held(clock: SetClock) -> None:
    lock = DeviceLock(clock)
    hold(lock, clock, 1_000, 1_100)
    hold(lock, clock, 1_115, 1_130)
    assert lock.busy() == pytest.approx((30 + 15) / 60)
    clock.now_s = 1_180
    assert lock.busy() == pytest.approx(10 / 60)
    clock.now_s = 1_200
    assert lock.busy() == 0


def test_what_is_held_now_counts_once_however_often_it_was_taken(clock: SetClock) -> None:
    lock = DeviceLock(clock)
    clock.now_s = 1_060
    with lock:
        clock.now_s = 1_075
        with lock:
            clock.now_s = 1_090
            assert lock.busy() == pytest.approx(30 / 60)
        assert lock.busy() == pytest.approx(30 / 60)
        clock.now_s = 1_500
        assert lock.busy() == 1


def test_a_young_process_is_told_by_its_own_life(clock: SetClock) -> None:
    lock, rate = DeviceLock(clock), ReviewRate(clock)
    hold(lock, clock, 1_005, 1_010)
    rate.note(40)
    assert lock.busy() == pytest.approx(0.5)
    assert rate.per_s() == pytest.approx(4)


def test_time_in_which_two_tasks_computed_is_counted_once() -> None:
    lock = DeviceLock()
    spans = [(10.0, 12.0), (11.5, 12.5), (11.0, 12.25), (13.0, 14.0)]
    assert [lock.count(*span) for span in spans] == [2.0, 0.5, 0.0, 1.0]


def test_reviews_of_before_the_last_minute_count_no_more(clock: SetClock) -> None:
    rate = ReviewRate(clock)
    for at, reviews in ((1_000, 600), (1_030, 300), (1_080, 60)):
        clock.now_s = at
        rate.note(reviews)
    assert rate.per_s() == pytest.approx(6)
    clock.now_s = 1_141
    assert rate.per_s() == 0
