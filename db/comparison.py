"""Two models on the same reviews, in figures. Pure arithmetic on their answers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from db.mcnemar import mcnemar_p


class Answers(NamedTuple):
    """What two models say of a review.

    `first_score` and `second_score` are the values that each gives the first one's label: its probability, 0 to 1, or
    for regression the predicted value.
    """

    review_id: int
    first: str
    second: str
    first_score: float
    second_score: float


@dataclass(frozen=True, slots=True)
class Accuracies:
    """How often two classifiers are right on the same labelled reviews."""

    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int

    @property
    def reviews(self) -> int:
        """How many reviews have a label."""
        return self.both_right + self.only_first_right + self.only_second_right + self.both_wrong

    @property
    def first(self) -> float:
        """The share that the first gets right, 0 to 1."""
        return (self.both_right + self.only_first_right) / self.reviews

    @property
    def second(self) -> float:
        """The share that the second gets right, 0 to 1."""
        return (self.both_right + self.only_second_right) / self.reviews

    @property
    def p(self) -> float:
        """How likely a difference as large is between classifiers that are equally good."""
        return mcnemar_p(self.only_first_right, self.only_second_right)


@dataclass(frozen=True, slots=True)
class Errors:
    """The mean absolute errors of two regression models on the same labelled reviews."""

    reviews: int
    first: float
    second: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models beside each other.

    `flips` counts the reviews by (first one's label, second one's label) where these differ, the most frequent pair
    first. `mean_difference` is of the value that each gives the first one's label. All but the counts are None where
    there is nothing to tell: `accuracies` and `errors` without labels, `flips` and `agreement` for regression.
    """

    reviews: int
    agreement: float | None
    flips: dict[tuple[str, str], int]
    mean_difference: float | None
    accuracies: Accuracies | None = None
    errors: Errors | None = None


def compare_classifiers(answers: Iterable[Answers], labels: Mapping[int, str]) -> Comparison:
    """Compare two classifiers; `labels` are the right ones of those reviews, by id, that have one."""
    pairs: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[bool, bool]] = Counter()
    difference = 0.0
    for one in answers:
        pairs[one.first, one.second] += 1
        difference += abs(one.first_score - one.second_score)
        if (label := labels.get(one.review_id)) is not None:
            right[one.first == label, one.second == label] += 1
    agreed = sum(count for (first, second), count in pairs.items() if first == second)
    return Comparison(
        reviews=pairs.total(),
        agreement=agreed / pairs.total() if pairs else None,
        flips=_by_frequency({pair: count for pair, count in pairs.items() if pair[0] != pair[1]}),
        mean_difference=difference / pairs.total() if pairs else None,
        accuracies=_accuracies(right) if right else None,
    )


def compare_regressions(answers: Iterable[Answers], labels: Mapping[int, str]) -> Comparison:
    """Compare two models that predict a number; `labels` are the right ones, by review, of those that have one."""
    reviews = labelled = 0
    difference = first = second = 0.0
    for one in answers:
        reviews += 1
        difference += abs(one.first_score - one.second_score)
        if (value := _number(labels.get(one.review_id))) is not None:
            labelled += 1
            first += abs(one.first_score - value)
            second += abs(one.second_score - value)
    errors = Errors(labelled, first / labelled, second / labelled) if labelled else None
    return Comparison(reviews, None, {}, difference / reviews if reviews else None, errors=errors)


def _accuracies(right: Mapping[tuple[bool, bool], int]) -> Accuracies:
    return Accuracies(*(right[pair] for pair in ((True, True), (True, False), (False, True), (False, False))))


def _by_frequency(pairs: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return dict(sorted(pairs.items(), key=lambda item: (-item[1], item[0])))


def _number(label: str | None) -> float | None:
    try:
        return None if label is None else float(label)
    except ValueError:
        return None
