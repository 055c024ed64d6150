"""Scoring one claimed chunk: plan, tokenize, batch, infer, write."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from sqlalchemy import Connection

from db.claims import Claim, Effort, finish_chunk
from db.jobs import settle_job
from db.predictions import Verdict, known_verdicts, store_predictions, store_score_failures
from db.reviews import StoredReview, load_reviews
from worker.checkpoints.tokenizer import Encoded, tokenize_each
from worker.chunk_plan import ChunkPlan, Outcome, plan_chunk
from worker.context import WorkerContext
from worker.inference import infer
from worker.lease import Heartbeat
from worker.models import LoadedModel
from worker.probabilities import probabilities
from worker.verdicts import make_verdict
from worker.waiting import WaitingBatches

log = structlog.get_logger()


@dataclass(slots=True)
class _Answers:
    """What is known of each text, by its hash: a verdict, or the reason why there is none."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def score_chunk(context: WorkerContext, claim: Claim, heartbeat: Heartbeat) -> None:
    """Score the chunk and end it, in one transaction. Raises LeaseLost where it is no longer ours."""
    assert claim.model_id is not None
    plan, answers = _plan(context, claim)
    effort = Effort()
    if plan.to_infer:
        effort = _infer(context, context.models.get(claim.model_id), plan.to_infer, heartbeat, answers)
    outcome = plan.outcome(answers.verdicts, answers.reasons)
    heartbeat.commit(lambda connection: _write(connection, claim, outcome, effort))
    log.info(
        "chunk scored",
        action="chunk_scored",
        job=claim.job_id,
        chunk=claim.chunk_id,
        attempt=claim.attempt,
        scored=outcome.scored,
        failed=len(outcome.failures),
        device_s=round(effort.device_s, 3),
        tokens=effort.tokens,
        batch_tokens=effort.batch_tokens,
    )


def _write(connection: Connection, claim: Claim, outcome: Outcome, effort: Effort) -> None:
    assert claim.model_id is not None
    failed = len(outcome.failures)
    finish_chunk(connection, claim, scored=outcome.scored, reused=outcome.reused, failed=failed, effort=effort)
    store_predictions(connection, claim.model_id, claim.job_id, outcome.predictions)
    store_score_failures(connection, claim.job_id, outcome.failures)
    settle_job(connection, claim.job_id)


def _plan(context: WorkerContext, claim: Claim) -> tuple[ChunkPlan, _Answers]:
    assert claim.model_id is not None
    with context.database.read() as connection:
        reviews = load_reviews(connection, claim.review_ids)
        hashes = [review.text_hash for review in reviews.values()]
        known = known_verdicts(connection, claim.model_id, hashes)
    plan = plan_chunk(claim.review_ids, reviews, known)
    return plan, _Answers({text_hash: one.verdict for text_hash, one in known.items()})


def _infer(
    context: WorkerContext,
    loaded: LoadedModel,
    reviews: Sequence[StoredReview],
    heartbeat: Heartbeat,
    answers: _Answers,
) -> Effort:
    encoded, untokenized = _tokenize(loaded, reviews)
    answers.reasons |= untokenized
    hashes = [review.text_hash for review in reviews if review.text_hash not in untokenized]

    def before_batch(done: int) -> None:
        heartbeat.done = done
        heartbeat.check()

    waiting = WaitingBatches(encoded, loaded.budget, loaded.tokenizer.pad_token_id)
    # Held for the whole chunk: another task of this process tokenizes or writes meanwhile.
    with context.device:
        inferred = infer(loaded, waiting, before_batch)
    answers.reasons |= {hashes[index]: reason for index, reason in inferred.reasons.items()}
    answers.verdicts |= _verdicts(loaded, encoded, hashes, inferred.logits)
    return inferred.costs.of(range(len(encoded)), loaded.budget.device)


def _tokenize(loaded: LoadedModel, reviews: Sequence[StoredReview]) -> tuple[list[Encoded], dict[str, str]]:
    """The reviews that can be tokenized, in order, and by text hash why others cannot."""
    texts, pairs = [review.text for review in reviews], [review.pair for review in reviews]
    each = tokenize_each(loaded.tokenizer, texts, pairs, loaded.record.max_tokens)
    encoded = [one for one in each if isinstance(one, Encoded)]
    reasons = {
        review.text_hash: f"the tokenizer fails on this review: {one}"
        for review, one in zip(reviews, each, strict=True)
        if isinstance(one, str)
    }
    return encoded, reasons


def _verdicts(
    loaded: LoadedModel, encoded: Sequence[Encoded], hashes: Sequence[str], logits: dict[int, np.ndarray]
) -> dict[str, Verdict]:
    if not logits:
        return {}
    record = loaded.record
    values = probabilities(np.stack(list(logits.values())), record.problem_type)
    return {
        hashes[index]: make_verdict(
            record.labels, row, record.problem_type, encoded[index].length, encoded[index].truncated
        )
        for index, row in zip(logits, values, strict=True)
    }
