"""Deciding what of a chunk must be inferred, and what is known already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from db.predictions import KnownVerdict, ScoreFailure, Verdict
from db.reviews import StoredReview


@dataclass(slots=True)
class ChunkPlan:
    """One chunk's work. Every row of the chunk counts once: `scored + reused + len(failures)` is its size."""

    to_infer: list[StoredReview] = field(default_factory=list)  # one for each new text
    to_write: list[tuple[int, str]] = field(default_factory=list)  # (review id, text hash)
    failures: list[ScoreFailure] = field(default_factory=list)
    reused: int = 0

    @property
    def scored(self) -> int:
        """Reviews that the model reads."""
        return len(self.to_infer)

    def predictions(self, verdicts: Mapping[str, Verdict]) -> list[tuple[int, Verdict]]:
        """The rows to write, given a verdict for each text hash."""
        return [(review_id, verdicts[text_hash]) for review_id, text_hash in self.to_write]


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
            plan.failures.append(ScoreFailure(None, None, f"review {review_id} was deleted before it was scored"))
        elif review_id in seen_ids:
            plan.reused += 1
        else:
            seen_ids.add(review_id)
            _plan_review(plan, review, known.get(review.text_hash), seen_texts)
    return plan


def _plan_review(plan: ChunkPlan, review: StoredReview, known: KnownVerdict | None, seen_texts: set[str]) -> None:
    if known is None and review.text_hash not in seen_texts:
        seen_texts.add(review.text_hash)
        plan.to_infer.append(review)
    else:
        plan.reused += 1
    if known is None or review.id not in known.review_ids:
        plan.to_write.append((review.id, review.text_hash))
