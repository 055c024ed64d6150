"""What several annotators say together of one review."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from db.checkpoint import MULTI_LABEL, REGRESSION
from db.labels import join_labels, split_labels


def agreed(labels: Sequence[str], problem_type: str) -> str | None:
    """The label that more annotators give than any other; None for a tie.

    Where a review may have several labels each is voted on by itself: one that just half of the annotators give makes
    a tie. Numbers are not voted on; it is their mean.
    """
    if len(set(labels)) == 1:
        return labels[0]
    if problem_type == REGRESSION:
        return repr(fmean(map(float, labels)))
    return _voted_on_each(labels) if problem_type == MULTI_LABEL else _most_frequent(labels)


def _most_frequent(labels: Sequence[str]) -> str | None:
    (label, most), (_, next_most) = Counter(labels).most_common(2)
    return label if most > next_most else None


def _voted_on_each(labels: Sequence[str]) -> str | None:
    votes = Counter(name for one in labels for name in split_labels(one))
    if any(2 * count == len(labels) for count in votes.values()):
        return None
    return join_labels(name for name, count in votes.items() if 2 * count > len(labels))
