"""Deciding what of a chunk must be inferred, and what is known already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.predictions import KnownVerdict, ScoreFailure, Verdict
from db.reviews import StoredReview


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One row of the chunk: whether the model reads its text for it, and whether its prediction is written."""

    review: StoredReview
    inferred: bool
    written: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a chunk came to. Every row counts once: `scored + reused + len(failures)` is the chunk's size."""

    scored: int
    reused: int
    failures: list[ScoreFailure]
    predictions: list[tuple[int, Verdict]]


@dataclass(slots=True)
class ChunkPlan:
    """One chunk's work."""

    rows: list[PlannedRow] = field(default_factory=list)
    deleted: list[ScoreFailure] = field(default_factory=list)

    @property
    def to_infer(self) -> list[StoredReview]:
        """One review for each text that the model must read."""
        return [row.review for row in self.rows if row.inferred]

    def outcome(self, verdicts: Mapping[str, Verdict], reasons: Mapping[str, str]) -> Outcome:
        """Count the rows and list what to write, given for each text hash a verdict, or why there is none."""
        good = [row for row in self.rows if row.review.text_hash not in reasons]
        failures = [
            ScoreFailure(row.review.id, row.review.external_id, reasons[row.review.text_hash])
            for row in self.rows
            if row.review.text_hash in reasons
        ]
        predictions = [(row.review.id, verdicts[row.review.text_hash]) for row in good if row.written]
        scored = sum(row.inferred for row in good)
        return Outcome(scored, len(good) - scored, self.deleted + failures, predictions)


def plan_chunk(
    review_ids: Sequence[int],
    reviews: Mapping[int, StoredReview],
    known: Mapping[str, KnownVerdict],
) -> ChunkPlan:
    """Infer each text once: not what the model has said before, nor what this chunk repeats."""
    plan = ChunkPlan()
    seen_ids: set[int] = set()
    seen_texts: set[str] = set()
    for review_id in review_ids:
        review = reviews.get(review_id)
        if review is None:
            plan.deleted.append(ScoreFailure(None, None, f"review {review_id} was deleted before it was scored"))
            continue
        said = known.get(review.text_hash)
        inferred = said is None and review.text_hash not in seen_texts
        written = review_id not in seen_ids and (said is None or review_id not in said.review_ids)
        plan.rows.append(PlannedRow(review, inferred, written))
        seen_ids.add(review_id)
        seen_texts.add(review.text_hash)
    return plan
