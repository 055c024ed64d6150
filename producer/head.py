"""The labels of a new model's head, in order: those of the data, or those that the base has already."""

from collections import Counter
from collections.abc import Iterable, Sequence

from db.checkpoint import MULTI_LABEL, REGRESSION
from db.labels import split_labels
from producer.checkpoints import BaseCheckpoint
from producer.errors import LabelError
from producer.intake import LabelledText
from producer.rows import Columns

#: Labels that a message names before it only counts them.
_NAMED = 20


def count_labels(texts: Iterable[LabelledText], columns: Columns) -> dict[str, int]:
    """How many examples each label has, in the labels' order: of indicator columns theirs, else by number or name.

    A regression has the one label that its column is named for.
    """
    found = [one.label for one in texts if one.label is not None]
    if columns.problem_type == REGRESSION:
        return {str(columns.label): len(found)}
    several = columns.problem_type == MULTI_LABEL
    counts = Counter(label for one in found for label in (split_labels(one) if several else [one]))
    return {label: counts[label] for label in columns.indicators or sorted(counts, key=_place)}


def head_labels(found: Sequence[str], base: BaseCheckpoint, columns: Columns, keep_head: bool) -> list[str]:
    """The labels to train. A head of the base that has the very same ones is kept, in its own order.

    With `keep_head` it is kept in any case: it then must know every label found. Raises LabelError.
    """
    own = base.facts.labels
    if keep_head:
        return _kept_head(found, base, columns.problem_type)
    return list(own) if own and set(own) == set(found) else list(found)


def named(labels: Iterable[object]) -> str:
    """Labels for a message, as in `the labels 'a', 'b' and 7 more`."""
    told = [repr(label) for label in labels]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return f"the label{'s' if len(told) != 1 else ''} {', '.join(told[:_NAMED])}{more}"


def _kept_head(found: Sequence[str], base: BaseCheckpoint, problem_type: str) -> list[str]:
    own = base.facts.labels
    if own is None:
        raise LabelError(f"--keep-head: {base.name} is a bare encoder and has no head to keep")
    if base.facts.problem_type != problem_type:
        theirs, ours = (str(one).replace("_", " ") for one in (base.facts.problem_type, problem_type))
        raise LabelError(f"--keep-head: the head of {base.name} is made for {theirs}, and the data for {ours}")
    unknown = [label for label in found if label not in own]
    if unknown and problem_type != REGRESSION:
        raise LabelError(f"--keep-head: the head of {base.name} does not know {named(unknown)}; it has {named(own)}")
    return list(own)


def _place(label: str) -> tuple[bool, int, str]:
    """Whole numbers by their value, and before all else."""
    try:
        return False, int(label), label
    except ValueError:
        return True, 0, label
