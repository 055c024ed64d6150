"""The arithmetic behind every figure that is told."""

import pytest

from bench.figures import Spread, padding_share, ratio, spread
from bench.model import HIDDEN, INNER, LAYERS, operations


def test_a_spread_is_the_median_with_the_smallest_and_largest() -> None:
    assert spread([3.0, 9.0, 4.0]) == Spread(4.0, 3.0, 9.0)
    assert spread([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)


def test_ratios_are_taken_round_by_round_and_not_of_the_medians() -> None:
    # The second round ran on a machine half as fast: the ratio is the same, and no spread comes of it.
    assert ratio([20.0, 10.0], [5.0, 2.5]) == Spread(4.0, 4.0, 4.0)
    assert ratio([10.0, 30.0, 12.0], [1.0, 10.0, 3.0]) == Spread(4.0, 3.0, 10.0)


def test_rounds_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0, 2.0], [1.0])


def test_padding_is_a_share_of_the_batch() -> None:
    assert padding_share(75, 100) == 0.25
    assert padding_share(0, 0) == 0.0


@pytest.mark.parametrize(
    ("value", "words"), [(1234.5, "1,234 (1,234-1,234)"), (12.34, "12.3 (12.3-12.3)"), (1.234, "1.23 (1.23-1.23)")]
)
def test_figures_are_told_with_three_digits(value: float, words: str) -> None:
    assert str(Spread(value, value, value)) == words


def test_operations_are_those_of_the_matrix_products() -> None:
    weights = LAYERS * (4 * HIDDEN * HIDDEN + 2 * HIDDEN * INNER)
    assert operations(1) == pytest.approx(2 * weights, rel=0.02)
    # Twice as long is more than twice the work: attention grows with the square.
    assert operations(512) > 2 * operations(256)
