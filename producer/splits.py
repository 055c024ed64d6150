"""Drawing validation and test examples from those of training: seeded, and of every label its share."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping

from db.checkpoint import MULTI_LABEL, REGRESSION
from db.labels import split_labels
from producer.errors import ExampleError
from producer.intake import LabelledText

#: Equally full ranges of a regression's target, of each of which every split gets its share.
_RANGES = 10
#: Of the texts that have one, by text hash.
Labels = Mapping[str, str]


def draw_splits(
    texts: Collection[LabelledText], problem_type: str, shares: Mapping[str, float], seed: int
) -> dict[str, list[LabelledText]]:
    """Divide different texts into those shares of them, and `train`, which gets the rest.

    Each stratum is divided alike, to the nearest whole example, and leaves one to training at least: the texts of one
    label; of several, those with the same rarest label; of a regression, those in the same tenth of the target; and
    those without a label. Seed and text alone decide the order in which a stratum's texts are drawn. Raises
    ExampleError for shares of 1 or more.
    """
    if sum(shares.values()) >= 1:
        told = " and ".join(f"{share:g} for {split}" for split, share in shares.items())
        raise ExampleError(f"{told} leave nothing to train on; together the shares must be below 1")
    drawn: dict[str, list[LabelledText]] = {split: [] for split in ("train", *shares)}
    for stratum in _strata(texts, problem_type):
        left = sorted(stratum, key=lambda one: _lot(one.text_hash, seed))
        for split, share in shares.items():
            count = min(int(share * len(stratum) + 0.5), len(left) - 1)
            drawn[split] += left[:count]
            left = left[count:]
        drawn["train"] += left
    return drawn


def _strata(texts: Collection[LabelledText], problem_type: str) -> Collection[list[LabelledText]]:
    keys = _KEYS.get(problem_type, _by_label)({one.text_hash: one.label for one in texts if one.label is not None})
    strata: dict[Hashable, list[LabelledText]] = defaultdict(list)
    for one in texts:
        strata[keys.get(one.text_hash)].append(one)
    return strata.values()


def _by_label(labels: Labels) -> Mapping[str, Hashable]:
    return labels


def _by_rarest_label(labels: Labels) -> Mapping[str, Hashable]:
    """The first step of iterative stratification (Sechidis et al., 2011): the rarest labels are the first to miss."""
    several = {text_hash: split_labels(label) for text_hash, label in labels.items()}
    counts = Counter(label for found in several.values() for label in found)
    return {
        text_hash: min(found, key=lambda label: (counts[label], label), default="")
        for text_hash, found in several.items()
    }


def _by_range(labels: Labels) -> Mapping[str, Hashable]:
    ascending = sorted(labels, key=lambda text_hash: (float(labels[text_hash]), text_hash))
    return {text_hash: at * _RANGES // len(ascending) for at, text_hash in enumerate(ascending)}


_KEYS = {MULTI_LABEL: _by_rarest_label, REGRESSION: _by_range}


def _lot(text_hash: str, seed: int) -> str:
    """Where a text stands in the order of the draw: by chance, and always there again."""
    return hashlib.blake2b(f"{seed} {text_hash}".encode(), digest_size=16).hexdigest()
