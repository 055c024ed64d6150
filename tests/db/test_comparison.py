"""Two models in figures, held against worked values and against scipy's."""

import random

import pytest
from scipy.stats import binomtest

from db.comparison import Accuracies, Answers, Errors, compare_classifiers, compare_regressions
from db.mcnemar import mcnemar_p


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        # Twice the tail of a binomial of one half, by hand: 2 (1) / 2^5, 2 (1 + 8) / 2^8, 2 (1 + 10 + 45) / 2^10.
        (0, 5, 2 / 32),
        (1, 7, 18 / 256),
        (8, 2, 112 / 1024),
        (0, 0, 1.0),
        (4, 4, 1.0),
        (0, 1, 1.0),
    ],
)
def test_the_p_value_by_hand(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar_p(only_first, only_second) == pytest.approx(p, rel=1e-12)


def test_the_p_value_is_that_of_scipys_binomial_test() -> None:
    numbers = random.Random(0)
    counts = [(numbers.randrange(200), numbers.randrange(200)) for _ in range(100)]
    for only_first, only_second in [*counts, (4_900, 5_100), (49_000, 51_000), (40, 1_200)]:
        expected = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0
        assert mcnemar_p(only_first, only_second) == pytest.approx(expected, rel=1e-8)
        assert mcnemar_p(only_second, only_first) == pytest.approx(expected, rel=1e-8)


def test_classifiers_beside_each_other() -> None:
    answers = [
        Answers(1, "good", "good", 0.9, 0.7),
        Answers(2, "good", "bad", 0.6, 0.2),
        Answers(3, "bad", "good", 0.8, 0.3),
        Answers(4, "good", "bad", 0.5, 0.4),
        Answers(5, "bad", "bad", 1.0, 1.0),
    ]
    labels = {1: "good", 2: "good", 3: "good", 4: "bad", 99: "bad"}
    told = compare_classifiers(iter(answers), labels)
    assert (told.reviews, told.agreement) == (5, 2 / 5)
    assert list(told.flips.items()) == [(("good", "bad"), 2), (("bad", "good"), 1)]
    assert told.mean_difference == pytest.approx((0.2 + 0.4 + 0.5 + 0.1 + 0.0) / 5)
    assert told.accuracies == Accuracies(both_right=1, only_first_right=1, only_second_right=2, both_wrong=0)
    assert (told.accuracies.first, told.accuracies.second) == (2 / 4, 3 / 4)
    assert told.accuracies.p == mcnemar_p(1, 2)
    assert told.errors is None


def test_a_label_that_neither_gives_is_wrong_for_both() -> None:
    told = compare_classifiers([Answers(1, "good", "good", 0.9, 0.9)], {1: "neutral"})
    assert told.accuracies == Accuracies(0, 0, 0, 1)


def test_without_labels_or_reviews_nothing_is_made_up() -> None:
    assert compare_classifiers([Answers(1, "good", "good", 0.9, 0.9)], {}).accuracies is None
    for compare in (compare_classifiers, compare_regressions):
        nothing = compare([], {1: "good"})
        assert (nothing.reviews, nothing.agreement, nothing.flips, nothing.mean_difference) == (0, None, {}, None)
        assert (nothing.accuracies, nothing.errors) == (None, None)


def test_regressions_beside_each_other() -> None:
    answers = [Answers(1, "stars", "stars", 4.5, 4.0), Answers(2, "stars", "stars", 1.0, 2.0)]
    answers.append(Answers(3, "stars", "stars", 3.0, 3.0))
    told = compare_regressions(answers, {1: "5", 2: "1.5", 3: "three"})
    assert (told.reviews, told.agreement, told.flips) == (3, None, {})
    assert told.mean_difference == pytest.approx(0.5)
    assert told.errors == Errors(2, pytest.approx(0.5), pytest.approx(0.75))
