"""From sources to the examples of a fine-tuning job, each in one split, and a check of them all."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from db.database import Database
from db.jobs import LabelledReview
from producer.duplicates import Texts, keep_apart, unique_texts
from producer.failure_limit import FailureLimit
from producer.head import count_labels
from producer.intake import Intake, LabelledText, take_in
from producer.rejected import RejectedRows
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Source
from producer.splits import draw_splits
from producer.training_check import TrainingCheck, check_training, refuse_nothing, refuse_unlearnable


@dataclass(frozen=True, slots=True)
class TrainingSources:
    """Where examples come from. A split without a source of its own is drawn from that of training."""

    train: Source
    validation: Source | None = None
    test: Source | None = None

    def by_split(self) -> dict[str, Source]:
        """The sources that are given."""
        given = {"train": self.train, "validation": self.validation, "test": self.test}
        return {split: source for split, source in given.items() if source is not None}


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The examples by split, the labels found in the training source, and what became of every row."""

    splits: dict[str, list[LabelledText]]
    labels: list[str]
    check: TrainingCheck
    review_ids: array  # of every row that is a review, repeats too
    rejected: RejectedRows

    def examples(self) -> list[LabelledReview]:
        """What is stored of them."""
        return [
            LabelledReview(one.review_id, one.label, split) for split, texts in self.splits.items() for one in texts
        ]


def read_training_set(
    database: Database,
    sources: TrainingSources,
    columns: Columns,
    settings: ProducerSettings,
    shares: Mapping[str, float],
    seed: int,
    limit: int | None = None,
    max_failures: FailureLimit | None = None,
) -> TrainingSet:
    """Store what the sources hold, make every text unique, divide and check.

    `shares` are those of validation and test in the training source, where they have no source of their own. `limit`
    is the most rows read of the training source, and `max_failures` the most bad rows in each. Raises SourceError,
    ColumnError, TooManyFailures, LabelError and ExampleError; the texts read by then stay stored.
    """
    intakes = {
        split: take_in(database, source, columns, settings, limit if split == "train" else None, max_failures)
        for split, source in sources.by_split().items()
    }
    left_out = Counter(flaw.value for intake in intakes.values() for flaw in intake.flaws.elements())
    texts, settled = _unique(intakes, columns.problem_type, left_out)
    left_out.update(keep_apart(texts))
    splits = {split: list(found.values()) for split, found in texts.items()}
    for split, found in splits.items():
        refuse_nothing(found, intakes[split], split)
    refuse_unlearnable(splits["train"], columns)
    labels = list(count_labels(splits["train"], columns))
    drawn = {split: share for split, share in shares.items() if share and split not in splits}
    splits |= draw_splits(splits["train"], columns.problem_type, drawn, seed)
    return TrainingSet(
        splits,
        labels,
        check_training(splits, columns, left_out, settled),
        review_ids=sum((intake.review_ids for intake in intakes.values()), array("q")),
        rejected=_rejected(intakes),
    )


def _unique(intakes: Mapping[str, Intake], problem_type: str, left_out: Counter[str]) -> tuple[dict[str, Texts], int]:
    """The different texts of each source, and how many of them had different labels; counts what is left out."""
    unique = {split: unique_texts(intake.labelled(), problem_type) for split, intake in intakes.items()}
    for one in unique.values():
        left_out.update(repeats=one.repeats, ties=one.ties)
    return {split: one.texts for split, one in unique.items()}, sum(one.settled for one in unique.values())


def _rejected(intakes: Mapping[str, Intake]) -> RejectedRows:
    """The rows refused, which tell their source where it is not the first."""
    rejected = RejectedRows()
    for split, intake in intakes.items():
        where = "" if split == "train" else f"in {intake.source}: "
        rejected.add(row._replace(reason=where + row.reason) for row in intake.rejected)
    return rejected
