"""What the soak calls growth: a leak is, a start and a noise are not."""

import random

import pytest

from tests.soak.series import Series, growth_of
from tests.soak.verdict import Measure, of_connections, of_memory, of_redis

_MINUTES = 20


def _series(start: float, per_minute: float, minutes: float = _MINUTES, begins_at_s: float = 0.0) -> Series:
    """A process that loads what it needs in its first minute, makes noise, and grows."""
    noise, series = random.Random(0), Series()
    for second in range(0, int(minutes * 60), 2):
        loaded = start * min(1.0, second / 60)
        series.add(begins_at_s + second, loaded + per_minute * second / 60 + noise.uniform(-5, 5))
    return series


def test_a_flat_series_does_not_grow_whatever_its_start_was() -> None:
    growth = growth_of(_series(500, 0))
    assert growth is not None
    assert abs(growth.amount) < 1
    assert growth.first == pytest.approx(500, abs=3)


def test_a_leak_is_growth() -> None:
    growth = growth_of(_series(500, 2))
    assert growth is not None
    assert growth.minutes == pytest.approx(15, abs=0.1)
    assert growth.amount == pytest.approx(22.5, abs=3)


def test_of_a_short_life_nothing_is_said() -> None:
    assert growth_of(_series(500, 50, minutes=2.9)) is None
    assert growth_of(Series()) is None


def test_a_leaking_worker_is_told_and_a_flat_one_is_not() -> None:
    flat, leaking, young = _series(400, 0), _series(400, 2), _series(400, 0, minutes=1)
    measures = list(of_memory({"worker 1, pid 1": flat, "worker 2, pid 2": leaking, "worker 2, pid 3": young}))
    assert [one.holds for one in measures] == [True, False, True]


def test_a_run_in_which_no_worker_lived_long_enough_proves_nothing() -> None:
    measures = list(of_memory({"worker 1, pid 1": _series(400, 0, minutes=1), "beat": _series(60, 0)}))
    assert [one.holds for one in measures] == [True, False]


@pytest.mark.parametrize("leaking", ["keys", "MiB", "clients"])
def test_what_grows_in_redis_is_told(leaking: str) -> None:
    series = {name: _steady(5.0, 2.0 if name == leaking else 0.0) for name in ("keys", "MiB", "clients")}
    measures = list(of_redis(series))
    assert [one.name for one in measures if not one.holds] == [f"Redis: {leaking}"]


def test_connections_that_are_never_closed_are_told() -> None:
    assert [one.holds for one in of_connections(_steady(20.0, 0.0))] == [True]
    assert [one.holds for one in of_connections(_steady(20.0, 1.0))] == [False]


def test_what_has_no_bound_always_holds() -> None:
    assert Measure("worst", None, 1_000.0).holds


def _steady(start: float, per_minute: float) -> Series:
    return Series(list(range(0, 1200, 2)), [start + per_minute * second / 60 for second in range(0, 1200, 2)])
