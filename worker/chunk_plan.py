"""Deciding what of some chunks must be inferred, what is known already, and which chunk counts what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from db.job_counts import Told
from db.predictions import KnownVerdict, ScoreFailure, Verdict
from db.reviews import StoredReview
from db.tables import FORGOTTEN


@dataclass(slots=True)
class Outcome:
    """What a chunk came to. Every row counts once: `scored + reused + len(failures)` is the chunk's size.

    `told` counts what was said of the rows that did not fail. `texts` are the hashes of the texts that the model read
    for it, also of those that it failed on.
    """

    scored: int = 0
    reused: int = 0
    failures: list[ScoreFailure] = field(default_factory=list)
    predictions: list[tuple[int, Verdict]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    told: Told = field(default_factory=Told)


@dataclass(slots=True)
class Answers:
    """What is known of each text, by its hash: a verdict, or the reason why there is none."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """The work on some chunks of one model: their reviews by id, and by text hash what the model said before."""

    reviews: Mapping[int, StoredReview]
    known: Mapping[str, KnownVerdict]

    @property
    def to_infer(self) -> list[StoredReview]:
        """One review for each text that the model must read, however many chunks have it."""
        unknown: dict[str, StoredReview] = {}
        for review in self.reviews.values():
            if review.text_hash not in self.known:
                unknown.setdefault(review.text_hash, review)
        return list(unknown.values())


class Books:
    """Counts rows, one chunk after the other: a text is scored for the first that has it, and reused by the others.

    Only chunks that are still held may be counted, or what is left out with a lost one would be missing.
    """

    def __init__(self, plan: Plan, answers: Answers) -> None:
        self._plan = plan
        self._answers = answers
        self._written: set[int] = set()
        self._read: set[str] = set(plan.known)

    def count(self, review_ids: Iterable[int]) -> Outcome:
        """Count a chunk's rows, and list what to write for it."""
        outcome = Outcome()
        for review_id in review_ids:
            review = self._plan.reviews.get(review_id)
            if review is None:
                outcome.failures.append(_deleted(review_id))
            else:
                self._count(review, outcome)
        return outcome

    def _count(self, review: StoredReview, outcome: Outcome) -> None:
        is_first = self._is_first(review.text_hash)
        if is_first:
            outcome.texts.append(review.text_hash)
        reason = self._answers.reasons.get(review.text_hash)
        if reason is not None:
            outcome.failures.append(ScoreFailure(review.id, review.external_id, reason))
            return
        outcome.scored += is_first
        outcome.reused += not is_first
        verdict = self._answers.verdicts[review.text_hash]
        if self._is_to_write(review):
            outcome.predictions.append((review.id, verdict))
        standing = self._standing(review) or verdict
        outcome.told.add(standing.label, standing.reading)

    def _is_first(self, text_hash: str) -> bool:
        is_first = text_hash not in self._read
        self._read.add(text_hash)
        return is_first

    def _standing(self, review: StoredReview) -> Verdict | None:
        """What is kept of this review from before, where it is not what was said of others with its text."""
        said = self._plan.known.get(review.text_hash)
        return said.otherwise.get(review.id) if said is not None else None

    def _is_to_write(self, review: StoredReview) -> bool:
        said = self._plan.known.get(review.text_hash)
        is_written = review.id in self._written or (said is not None and review.id in said.review_ids)
        self._written.add(review.id)
        return not is_written


def _deleted(review_id: int) -> ScoreFailure:
    which = "the review" if review_id == FORGOTTEN else f"review {review_id}"
    return ScoreFailure(None, None, f"{which} was deleted before it was scored")
