"""Every text once, with one label, and in one split: a text met in training says nothing when it is met again."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from db.checkpoint import REGRESSION
from producer.intake import LabelledText

#: Texts by their hash.
Texts = dict[str, LabelledText]
#: Which split gives up a text that stands in two, and to which. What is measured on must not be learned.
_GIVES_UP = (("validation", "test"), ("train", "validation"), ("train", "test"))


@dataclass(frozen=True, slots=True)
class Unique:
    """The different texts of a source.

    `repeats` counts the rows beyond the first of each text, `settled` the texts whose rows have different labels, and
    `ties` the texts left out because no label is theirs more often than any other. Rows without a label have no say.
    """

    texts: Texts
    repeats: int
    settled: int
    ties: int


def unique_texts(labelled: Iterable[LabelledText], problem_type: str) -> Unique:
    """Every text once, with the label that most of its rows give; in a regression with their mean."""
    rows: dict[str, list[LabelledText]] = defaultdict(list)
    for one in labelled:
        rows[one.text_hash].append(one)
    texts, settled = {}, 0
    for text_hash, same in rows.items():
        labels = [one.label for one in same if one.label is not None]
        label = _agreed(labels, problem_type) if labels else None
        if label is not None or not labels:
            texts[text_hash] = same[0]._replace(label=label)
            settled += len(set(labels)) > 1
    repeats = sum(map(len, rows.values())) - len(rows)
    return Unique(texts, repeats, settled, ties=len(rows) - len(texts))


def keep_apart(texts: dict[str, Texts]) -> dict[str, int]:
    """Take the texts that stand in two splits out of one of them, in place; tell how many, as `train_in_test`."""
    removed = {}
    for loser, winner in _GIVES_UP:
        if loser in texts and winner in texts:
            shared = texts[loser].keys() & texts[winner].keys()
            for text_hash in shared:
                del texts[loser][text_hash]
            removed[f"{loser}_in_{winner}"] = len(shared)
    return removed


def _agreed(labels: Sequence[str], problem_type: str) -> str | None:
    """What the rows of one text say together; None for a tie."""
    if len(set(labels)) == 1:
        return labels[0]
    if problem_type == REGRESSION:
        return repr(fmean(map(float, labels)))
    (label, most), (_, next_most) = Counter(labels).most_common(2)
    return label if most > next_most else None
