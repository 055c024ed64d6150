"""The check before training: what a model would learn from, what was left out, and what cannot work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from db.checkpoint import REGRESSION
from producer.errors import ExampleError, LabelError
from producer.head import count_labels, named
from producer.intake import Intake, LabelledText
from producer.rows import Columns

#: With one example a label cannot be told from that very text.
_FEWEST_EXAMPLES = 2


@dataclass(frozen=True, slots=True)
class TrainingCheck:
    """What the examples of a fine-tuning job are. `rows` is the sum of `examples` and `left_out`.

    `left_out` counts by reason: rows that are `empty`, `unlabelled` or `unreadable`, `repeats` of a text, `ties`
    between labels, and texts that stand in a split that comes first, as in `train_in_test`. `settled` texts had
    different labels, and got that of most of their rows, or in a regression their mean. By split, `labels` counts each
    label's examples, `no_label` the multi-label ones that have none, `unlabelled` those that a teacher alone tells of,
    and `targets` holds the lowest, the mean and the highest of a regression's.
    """

    rows: int
    left_out: dict[str, int]
    settled: int
    examples: dict[str, int]
    labels: dict[str, dict[str, int]]
    no_label: dict[str, int]
    unlabelled: dict[str, int]
    targets: dict[str, dict[str, float]]


def check_training(
    splits: Mapping[str, Sequence[LabelledText]], columns: Columns, left_out: Mapping[str, int], settled: int
) -> TrainingCheck:
    """Count what stands in each split."""
    examples = {split: len(texts) for split, texts in splits.items()}
    counts = {split: count_labels(texts, columns) for split, texts in splits.items()}
    is_regression = columns.problem_type == REGRESSION
    names = [] if is_regression else list(dict.fromkeys(label for found in counts.values() for label in found))
    return TrainingCheck(
        rows=sum(examples.values()) + sum(left_out.values()),
        left_out={reason: count for reason, count in left_out.items() if count},
        settled=settled,
        examples=examples,
        labels={label: {split: found.get(label, 0) for split, found in counts.items()} for label in names},
        no_label={split: sum(one.label == "" for one in texts) for split, texts in splits.items()},
        unlabelled={split: sum(one.label is None for one in texts) for split, texts in splits.items()},
        targets=_spreads(splits) if is_regression else {},
    )


def refuse_unlearnable(texts: Sequence[LabelledText], columns: Columns) -> None:
    """Raise LabelError where the labels of the training source, before it is divided, cannot make a model.

    Where a teacher tells what to learn, none are needed.
    """
    if columns.unlabelled:
        return
    if columns.problem_type == REGRESSION:
        _refuse_constant(texts)
        return
    counts = count_labels(texts, columns)
    if len(counts) < 2:
        found = f"only {next(iter(counts))!r}" if counts else "none"
        raise LabelError(f"training needs at least two labels, and the source has {found} to train on")
    rare = [label for label, count in counts.items() if count < _FEWEST_EXAMPLES]
    if rare:
        told = f"{named(rare)} {'has' if len(rare) == 1 else 'have'}"
        raise LabelError(f"a label needs at least {_FEWEST_EXAMPLES} different texts, and {told} fewer")


def refuse_strangers(texts: Sequence[LabelledText], columns: Columns, labels: Sequence[str], split: str) -> None:
    """Raise LabelError where a source to measure on has labels that the model will not know."""
    if columns.problem_type == REGRESSION:
        return
    strangers = [label for label, count in count_labels(texts, columns).items() if count and label not in labels]
    if strangers:
        raise LabelError(f"the {split} source has {named(strangers)}, which the model will not know")


def refuse_nothing(texts: Sequence[LabelledText], intake: Intake, split: str) -> None:
    """Raise ExampleError where a source holds nothing for the split that it is there for."""
    if texts:
        return
    if intake.labels:
        raise ExampleError(f"no text of {intake.source} is left for {split}: all stand in another split, or are ties")
    first = next(iter(intake.rejected))
    raise ExampleError(f"{intake.source} has no row for {split}; the first, on line {first.row}: {first.reason}")


def _refuse_constant(texts: Sequence[LabelledText]) -> None:
    values = {one.label for one in texts}
    if len(values) == 1:
        raise LabelError(f"the target of every text to train on is {values.pop()}; a regression needs different ones")


def _spreads(splits: Mapping[str, Sequence[LabelledText]]) -> dict[str, dict[str, float]]:
    values = {split: [float(one.label) for one in texts if one.label is not None] for split, texts in splits.items()}
    return {
        split: {"lowest": min(found), "mean": sum(found) / len(found), "highest": max(found)}
        for split, found in values.items()
        if found
    }
