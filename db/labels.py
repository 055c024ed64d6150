"""How the labels of an example stand in the one text column that `examples` has for them."""

from collections.abc import Iterable

#: What stands between the labels of an example that has several; none of them may hold it.
LABEL_SEPARATOR = "|"
#: The longest label kept, in characters; the joined labels of one example count as one.
MAX_LABEL_CHARS = 255


def join_labels(labels: Iterable[str]) -> str:
    """Different labels as one text, in the order of their names; empty for none."""
    return LABEL_SEPARATOR.join(sorted(set(labels)))


def split_labels(label: str) -> list[str]:
    """The labels of an example that may have several, or none."""
    return label.split(LABEL_SEPARATOR) if label else []
