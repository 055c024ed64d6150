"""How a model does on the examples it was not trained on, label by label, in words."""

from collections.abc import Mapping
from typing import Any

from cli.output import print_table, say, share

_COLUMNS = ("label", "precision", "recall", "f1", "examples")


def show_evaluation(evaluation: Mapping[str, Any]) -> None:
    """Print a row for each label, if the evaluation tells of labels."""
    per_label = evaluation.get("per_label", [])
    if not per_label:
        return
    say(f"\nOn the {evaluation['split']} examples")
    rows = [(one["label"], *(share(one[name]) for name in _COLUMNS[1:4]), one["support"]) for one in per_label]
    print_table(_COLUMNS, rows, numbers=_COLUMNS[1:])
