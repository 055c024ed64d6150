"""Scoring claimed chunks as one: plan, read, batch, infer, write; each chunk ends under its own fence."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from broker import tracing
from db.claims import ChunkEnd, Claim, Effort, finish_chunks, still_held
from db.errors import LeaseLost
from db.job_counts import Told, add_counts
from db.jobs import job_status, settle_jobs
from db.predictions import Scored, Verdict, known_verdicts, store_predictions, store_score_failures
from db.reviews import StoredReview, load_reviews
from worker import metrics
from worker.budget_search import measure_budget
from worker.checkpoints.tokenizer import Encoded
from worker.chunk_plan import Answers, Books, Outcome, Plan
from worker.combining import combine
from worker.context import WorkerContext
from worker.hold import Hold
from worker.inference import Costs, Inferred, infer
from worker.interludes import Interludes
from worker.lease import Heartbeat
from worker.logs import ids_of
from worker.models import LoadedModel
from worker.precision.choose import AUTO, asked_precision, reusable_precisions
from worker.probabilities import probabilities
from worker.reading import Reading, Sequences, asked_reading, read_each, reusable_readings
from worker.verdicts import make_verdicts
from worker.waiting import WaitingBatches

log = structlog.get_logger()

#: By chunk, what it came to, and what inferring it took.
Ends = dict[int, tuple[Outcome, Effort]]


@dataclass(slots=True)
class _Bill:
    """What inferring each text took, by its hash."""

    device: str
    costs: Costs
    places: dict[str, range]

    def of(self, texts: Sequence[str]) -> Effort:
        return self.costs.of([at for text in texts for at in self.places.get(text, ())], self.device)


@dataclass(slots=True)
class _Progress:
    """How far inferring is, for the live bar and for the pace of this process."""

    context: WorkerContext
    heartbeat: Heartbeat
    reviews: int
    sequences: int
    noted: int = 0

    def note(self, done: int) -> None:
        """So many sequences are behind us."""
        self.heartbeat.done = done * self.reviews // self.sequences if self.sequences else 0
        self.context.reviews.note(self.heartbeat.done - self.noted)
        self.noted = self.heartbeat.done


def score_chunks(context: WorkerContext, claims: Sequence[Claim], heartbeat: Heartbeat) -> None:
    """Score chunks of one model and end each, all in one transaction.

    A chunk that was lost meanwhile is left out. Raises LeaseLost where none is ours any longer.
    """
    model_id = claims[0].model_id
    assert model_id is not None
    with tracing.step("read"):
        plan, answers = _plan(context, model_id, claims)
    bill = None
    if texts := plan.to_infer:
        with _model(context, model_id, claims) as loaded:
            bill = _infer(context, loaded, claims, texts, heartbeat, answers)
    ends: Ends = {}

    def write(connection: Connection) -> None:
        ends.clear()
        ends.update(_write(connection, model_id, claims, Books(plan, answers), bill))

    with tracing.step("write"):
        heartbeat.commit(write)
    for claim in claims:
        _note_end(claim, ends, heartbeat.claimed_at)


def _model(context: WorkerContext, model_id: int, claims: Sequence[Claim]) -> AbstractContextManager[LoadedModel]:
    """Holds the model in the precision that serves these chunks, which have all ordered the same.

    Where they are of different sources, for each of which a precision is chosen, float32 serves them together.
    """
    sources = {claim.params.get("source") for claim in claims}
    is_ordered = asked_precision(claims[0].params, context.settings) != AUTO
    return context.models.use(model_id, claims[0].job_id if len(sources) == 1 or is_ordered else None)


def _plan(context: WorkerContext, model_id: int, claims: Sequence[Claim]) -> tuple[Plan, Answers]:
    # All claims have ordered the same.
    params = claims[0].params
    precisions = reusable_precisions(asked_precision(params, context.settings), context.settings.engine)
    readings = reusable_readings(asked_reading(params))
    with context.database.read() as connection:
        reviews = load_reviews(connection, [id_ for claim in claims for id_ in claim.review_ids])
        hashes = [review.text_hash for review in reviews.values()]
        known = known_verdicts(connection, model_id, hashes, precisions, readings)
    return Plan(reviews, known), Answers({text_hash: one.verdict for text_hash, one in known.items()})


def _write(connection: Connection, model_id: int, claims: Sequence[Claim], books: Books, bill: _Bill | None) -> Ends:
    held = still_held(connection, claims, lock=True)
    if not held:
        raise LeaseLost(f"none of {len(claims)} chunks is held any longer")
    ends: Ends = {}
    for claim in held:
        outcome = books.count(claim.review_ids)
        ends[claim.chunk_id] = outcome, bill.of(outcome.texts) if bill else Effort()
    finish_chunks(connection, {chunk_id: _chunk_end(*end) for chunk_id, end in ends.items()})
    scored = [
        Scored(review_id, claim.job_id, verdict)
        for claim in held
        for review_id, verdict in ends[claim.chunk_id][0].predictions
    ]
    store_predictions(connection, model_id, scored)
    for claim in held:
        store_score_failures(connection, claim.job_id, ends[claim.chunk_id][0].failures)
    add_counts(connection, _told(held, ends))
    settle_jobs(connection, {claim.job_id for claim in held})
    return ends


def _told(claims: Sequence[Claim], ends: Ends) -> dict[int, Told]:
    """What was said of the rows of each job."""
    by_job: dict[int, Told] = {}
    for claim in claims:
        by_job.setdefault(claim.job_id, Told()).update(ends[claim.chunk_id][0].told)
    return by_job


def _chunk_end(outcome: Outcome, effort: Effort) -> ChunkEnd:
    return ChunkEnd(outcome.scored, outcome.reused, len(outcome.failures), effort)


def _note_end(claim: Claim, ends: Ends, claimed_at: float) -> None:
    ids = ids_of([claim])
    if claim.chunk_id not in ends:
        metrics.note_end(claim, "lost")
        log.warning("lease lost", action="lease_lost", **ids)
        return
    outcome, effort = ends[claim.chunk_id]
    counts = {"scored": outcome.scored, "failed": len(outcome.failures)}
    metrics.note_done(claim, claimed_at, **counts, reused=outcome.reused)
    log.info(
        "chunk scored",
        action="chunk_scored",
        **ids,
        **counts,
        device_s=round(effort.device_s, 3),
        tokens=effort.tokens,
        batch_tokens=effort.batch_tokens,
    )


def _infer(
    context: WorkerContext,
    loaded: LoadedModel,
    claims: Sequence[Claim],
    reviews: Sequence[StoredReview],
    heartbeat: Heartbeat,
    answers: Answers,
) -> _Bill:
    with tracing.step("tokenize", texts=len(reviews)):
        readings, unread = _read(loaded, reviews, asked_reading(claims[0].params))
    answers.reasons |= unread
    hashes = [review.text_hash for review in reviews if review.text_hash not in unread]
    sequences = Sequences(readings)

    interludes = Interludes(context, claims, score_chunks)
    progress = _Progress(context, heartbeat, len(readings), len(sequences.encoded))

    def before_batch(done: int) -> None:
        progress.note(done)
        heartbeat.check()
        interludes.play()

    _find_budget(context, loaded, claims, sequences.encoded, heartbeat)
    waiting = WaitingBatches(sequences.encoded, loaded.budget, loaded.cutter, loaded.tokenizer.pad_token_id)
    # Another task of this process tokenizes or writes meanwhile.
    with Hold(context.device) as hold, tracing.step("infer", **_served(loaded), sequences=len(sequences.encoded)):
        inferred = infer(loaded, waiting, before_batch, hold, sequences.review_of)
    progress.note(len(sequences.encoded))
    answers.reasons |= {hashes[sequences.review_of[index]]: reason for index, reason in inferred.reasons.items()}
    answers.verdicts |= _verdicts(loaded, sequences, hashes, inferred)
    return _Bill(context.models.device, inferred.costs, dict(zip(hashes, sequences.places, strict=True)))


def _served(loaded: LoadedModel) -> dict[str, str]:
    """What a trace tells of the model."""
    return dict(zip(("model", "engine", "precision", "device"), loaded.serving, strict=True))


def _find_budget(
    context: WorkerContext,
    loaded: LoadedModel,
    claims: Sequence[Claim],
    encoded: Sequence[Encoded],
    heartbeat: Heartbeat,
) -> None:
    """Find the model's token budget, once, at the first job that is worth it."""
    if loaded.budget.is_settled or not encoded or _rows(context, claims) < context.settings.search_from:
        return
    typical = sorted(encoded, key=lambda one: one.length)[len(encoded) // 2]
    with context.device:
        tokens = measure_budget(loaded.engine, typical, loaded.tokenizer.pad_token_id, heartbeat.check)
        # Whoever held the device before may have found it.
        if tokens is not None and not loaded.budget.is_settled:
            loaded.budget.settle(tokens)


def _rows(context: WorkerContext, claims: Sequence[Claim]) -> int:
    """Of the job that leads to these chunks."""
    with context.database.read() as connection:
        return job_status(connection, claims[0].job_id).total


def _read(loaded: LoadedModel, reviews: Sequence[StoredReview], asked: str) -> tuple[list[Reading], dict[str, str]]:
    """What is read of the reviews that can be tokenized, in order, and by text hash why others cannot."""
    texts, pairs = [review.text for review in reviews], [review.pair for review in reviews]
    each = read_each(loaded.tokenizer, texts, pairs, loaded.record.max_tokens, asked)
    readings = [one for one in each if isinstance(one, Reading)]
    reasons = {
        review.text_hash: f"the tokenizer fails on this review: {one}"
        for review, one in zip(reviews, each, strict=True)
        if isinstance(one, str)
    }
    return readings, reasons


def _verdicts(
    loaded: LoadedModel, sequences: Sequences, hashes: Sequence[str], inferred: Inferred
) -> dict[str, Verdict]:
    """By text hash, what the model says of each review of which it read every sequence."""
    failed = {sequences.review_of[index] for index in inferred.reasons}
    answered = [at for at in range(len(hashes)) if at not in failed]
    if not answered:
        return {}
    record, read = loaded.record, [sequences.readings[at] for at in answered]
    rows = inferred.logits([index for at in answered for index in sequences.places[at]])
    values = combine(probabilities(rows, record.problem_type), [one.weights for one in read])
    verdicts = make_verdicts(record.labels, values, record.problem_type, loaded.precision, read)
    return {hashes[at]: verdict for at, verdict in zip(answered, verdicts, strict=True)}
