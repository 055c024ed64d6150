"""Scoring one claimed chunk: plan, tokenize, batch, infer, write."""

from collections.abc import Sequence

import structlog

from db.claims import Claim, finish_chunk
from db.jobs import settle_job
from db.predictions import Verdict, known_verdicts, store_predictions, store_score_failures
from db.reviews import StoredReview, load_reviews
from worker.batching import collate, cut_batches
from worker.checkpoints.tokenizer import Encoded, tokenize
from worker.chunk_plan import ChunkPlan, plan_chunk
from worker.context import WorkerContext
from worker.lease import Heartbeat
from worker.models import LoadedModel
from worker.probabilities import probabilities
from worker.verdicts import make_verdict

log = structlog.get_logger()


def score_chunk(context: WorkerContext, claim: Claim, heartbeat: Heartbeat) -> None:
    """Score the chunk and end it, in one transaction. Raises LeaseLost where it is no longer ours."""
    assert claim.model_id is not None
    plan, verdicts = _plan(context, claim)
    if plan.to_infer:
        loaded = context.models.get(claim.model_id)
        verdicts |= _infer(context, loaded, plan.to_infer, heartbeat)
    with context.database.write() as connection:
        finish_chunk(connection, claim, scored=plan.scored, reused=plan.reused, failed=len(plan.failures))
        store_predictions(connection, claim.model_id, claim.job_id, plan.predictions(verdicts))
        store_score_failures(connection, claim.job_id, plan.failures)
        settle_job(connection, claim.job_id)
    log.info("chunk scored", action="chunk_scored", job=claim.job_id, chunk=claim.chunk_id, scored=plan.scored)


def _plan(context: WorkerContext, claim: Claim) -> tuple[ChunkPlan, dict[str, Verdict]]:
    assert claim.model_id is not None
    with context.database.read() as connection:
        reviews = load_reviews(connection, claim.review_ids)
        hashes = [review.text_hash for review in reviews.values()]
        known = known_verdicts(connection, claim.model_id, hashes)
    plan = plan_chunk(claim.review_ids, reviews, known)
    return plan, {text_hash: one.verdict for text_hash, one in known.items()}


def _infer(
    context: WorkerContext, loaded: LoadedModel, reviews: Sequence[StoredReview], heartbeat: Heartbeat
) -> dict[str, Verdict]:
    texts, pairs = [review.text for review in reviews], [review.pair for review in reviews]
    encoded = tokenize(loaded.tokenizer, texts, pairs, loaded.record.max_tokens)
    verdicts: dict[str, Verdict] = {}
    # Held for the whole chunk: another task of this process tokenizes or writes meanwhile.
    with context.device:
        for batch in cut_batches([one.length for one in encoded], context.settings.token_budget):
            heartbeat.check()
            answers = _infer_batch(loaded, [encoded[index] for index in batch])
            for index, verdict in zip(batch, answers, strict=True):
                verdicts[reviews[index].text_hash] = verdict
            heartbeat.done += len(batch)
    return verdicts


def _infer_batch(loaded: LoadedModel, encoded: Sequence[Encoded]) -> list[Verdict]:
    record = loaded.record
    logits = loaded.engine.logits(collate(encoded, loaded.tokenizer.pad_token_id))
    return [
        make_verdict(record.labels, values, record.problem_type, one.length, one.truncated)
        for one, values in zip(encoded, probabilities(logits, record.problem_type), strict=True)
    ]
