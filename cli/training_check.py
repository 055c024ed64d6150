"""The check before training, for a person: how many examples each label has, and what was left out and why."""

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console

from cli.output import answers, counted, print_table

_SPLITS = ("train", "validation", "test")
#: Labels told in full; the rest are in `jobs show --json`.
_SHOWN_LABELS = 20
#: What each reason for leaving a row out is called; see producer.training_check.
_REASONS = {
    "empty": "without a text",
    "unlabelled": "without a label",
    "unreadable": "that cannot be read (see them with `jobs show`)",
    "repeats": "with the text of another row",
    "ties": "of a text that has as many rows with another label",
    "train_in_validation": "of training whose text is in validation too",
    "train_in_test": "of training whose text is in test too",
    "validation_in_test": "of validation whose text is in test too",
}


def show_training_check(params: Mapping[str, Any], file: TextIO | None = None) -> None:
    """Print the TrainingCheck of a fine-tuning job, from its params, to the file, or as an answer."""
    data, console = params["data"], answers if file is None else Console(file=file, highlight=False)
    # PostgreSQL keeps no order of an object's names.
    splits = [split for split in _SPLITS if split in data["examples"]]
    for line in _told(data, splits):
        console.print(line, markup=False, soft_wrap=True)
    rows = _target_rows(data, splits) if data["targets"] else _label_rows(data, params["labels"], splits)
    rows += _counted_row("without a label", data.get("unlabelled", {}), splits)
    print_table(("", *splits), rows, numbers=splits, file=file)


def _told(data: Mapping[str, Any], splits: Sequence[str]) -> list[str]:
    examples = data["examples"]
    told = ", ".join(f"{examples[split]:,} {split}" for split in splits)
    first = f"Data: {counted(data['rows'], 'row')}, {counted(sum(examples.values()), 'example')}: {told}"
    left_out = data["left_out"]
    lines = [
        f"  left out: {counted(left_out[name], 'row')} {why}" for name, why in _REASONS.items() if name in left_out
    ]
    if data["settled"]:
        lines.append(
            f"  settled: {counted(data['settled'], 'text')} with different labels; most rows, or the mean, decide"
        )
    return [first, *lines]


def _label_rows(data: Mapping[str, Any], labels: Sequence[str], splits: Sequence[str]) -> list[tuple[str, ...]]:
    """One row a label of the model; one that a head kept for it may have no examples."""
    rows = [
        (f"  {label}", *(f"{data['labels'].get(label, {}).get(split, 0):,}" for split in splits))
        for label in labels[:_SHOWN_LABELS]
    ]
    more = len(labels) - _SHOWN_LABELS
    if more > 0:
        rows.append((f"  and {counted(more, 'label')} more", *("" for _ in splits)))
    return rows + _counted_row("none of them", data["no_label"], splits)


def _counted_row(name: str, counts: Mapping[str, int], splits: Sequence[str]) -> list[tuple[str, ...]]:
    """A row of what is counted by split, where there is any of it."""
    return [(f"  {name}", *(f"{counts[split]:,}" for split in splits))] if any(counts.values()) else []


def _target_rows(data: Mapping[str, Any], splits: Sequence[str]) -> list[tuple[str, ...]]:
    targets = data["targets"]
    return [
        (f"  {name}", *(f"{targets[split][name]:.4g}" if split in targets else "" for split in splits))
        for name in ("lowest", "mean", "highest")
    ]
