"""How a model does on the examples it was not trained on, label by label, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from cli.output import print_table, say, share

_COLUMNS = ("label", "precision", "recall", "f1", "examples")


def show_evaluation(evaluation: Mapping[str, Any]) -> None:
    """Print a row for each label, if the evaluation tells of labels."""
    per_label = evaluation.get("per_label", [])
    if not per_label:
        return
    say(f"\nOn the {evaluation['split']} examples")
    print_table(_COLUMNS, per_label_rows(per_label), numbers=_COLUMNS[1:])


def per_label_rows(per_label: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Of each label its name, precision, recall and F1 as shares in words, and how many examples have it."""
    return [(one["label"], *(share(one[name]) for name in _COLUMNS[1:4]), one["support"]) for one in per_label]
