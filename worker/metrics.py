"""What a worker process counts, for Prometheus.

Labels are few and bounded: a model's reference, a device, an engine, a precision; never the id of a job, a chunk or a
review, and never a text. Counting takes a microsecond, once a batch or a chunk, whether anybody asks or not.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from db.claims import Claim

#: How an attempt at a chunk may end.
OUTCOMES = ("done", "retried", "failed", "put_off", "given_back", "lost", "split", "quarantined")
_KINDS = ("score", "finetune")
#: What a model in memory is told apart by.
_SERVING = ("model", "engine", "precision", "device")
Serving = tuple[str, str, str, str]

# Each counter would have a twin that tells when it began.
disable_created_metrics()
REGISTRY = CollectorRegistry()
for _collector in (ProcessCollector, PlatformCollector, GCCollector):
    _collector(registry=REGISTRY)

WORKER = Info("reviewmill_worker", "This process: its device, its queues and its version.", registry=REGISTRY)
REVIEWS = Counter(
    "reviewmill_reviews",
    "Rows of scoring jobs that were committed, by what came of them: scored, reused or failed.",
    ("model", "outcome"),
    registry=REGISTRY,
)
CHUNKS = Counter(
    "reviewmill_chunks",
    f"Attempts at chunks that ended, by how: {', '.join(OUTCOMES)}.",
    ("kind", "outcome"),
    registry=REGISTRY,
)
CHUNK_SECONDS = Histogram(
    "reviewmill_chunk_seconds",
    "Seconds from the claim of a chunk to the commit of its results.",
    ("kind",),
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000),
    registry=REGISTRY,
)
CHUNKS_HELD = Gauge("reviewmill_chunks_held", "Chunks that this process holds now.", registry=REGISTRY)
BATCHES = Counter("reviewmill_batches", "Batches that were inferred.", _SERVING, registry=REGISTRY)
BATCH_FAILURES = Counter(
    "reviewmill_batch_failures", "Batches that failed and were halved, or of one review.", _SERVING, registry=REGISTRY
)
TOKENS = Counter("reviewmill_tokens", "Tokens that were inferred, without padding.", _SERVING, registry=REGISTRY)
PADDING_TOKENS = Counter(
    "reviewmill_padding_tokens", "Tokens of padding in the batches that were inferred.", _SERVING, registry=REGISTRY
)
DEVICE_BUSY = Counter(
    "reviewmill_device_busy_seconds",
    "Seconds in which the device computed, by work: inference or training.",
    ("device", "work"),
    registry=REGISTRY,
)
MODEL = Gauge("reviewmill_model_info", "1 for each model in memory.", _SERVING, registry=REGISTRY)
MODEL_LOADS = Counter("reviewmill_model_loads", "Models that were loaded.", _SERVING, registry=REGISTRY)
MODEL_LOAD_SECONDS = Histogram(
    "reviewmill_model_load_seconds",
    "Seconds that the loading of a model took; the first of a model on a machine builds its engine.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250),
    registry=REGISTRY,
)
TRAINING_STEPS = Counter("reviewmill_training_steps", "Steps of fine-tuning.", ("model",), registry=REGISTRY)
TRAINING_LOSS = Gauge(
    "reviewmill_training_loss", "Loss of the fine-tuning under way, its running mean.", ("model",), registry=REGISTRY
)
CHUNKS_RUNG_AGAIN = Counter(
    "reviewmill_chunks_rung_again", "Chunks whose message was lost and was sent anew.", ("kind",), registry=REGISTRY
)
for _kind in _KINDS:
    CHUNKS_RUNG_AGAIN.labels(_kind)
    for _outcome in OUTCOMES:
        # A rate needs a zero to start from.
        CHUNKS.labels(_kind, _outcome)


def note_batch(serving: Serving, tokens: int, size: int, device_s: float, *, failed: bool) -> None:
    """Count a batch of so many tokens that is `size` tokens large with its padding, and the seconds it took."""
    DEVICE_BUSY.labels(serving[-1], "inference").inc(device_s)
    if failed:
        BATCH_FAILURES.labels(*serving).inc()
        return
    BATCHES.labels(*serving).inc()
    TOKENS.labels(*serving).inc(tokens)
    PADDING_TOKENS.labels(*serving).inc(size - tokens)


def note_done(claim: Claim, claimed_at: float, *, scored: int = 0, reused: int = 0, failed: int = 0) -> None:
    """Count a chunk that was committed, and its rows; it was claimed at that monotonic time."""
    CHUNKS.labels(claim.kind, "done").inc()
    CHUNK_SECONDS.labels(claim.kind).observe(time.monotonic() - claimed_at)
    for outcome, rows in (("scored", scored), ("reused", reused), ("failed", failed)):
        if rows:
            REVIEWS.labels(_model(claim), outcome).inc(rows)


def note_end(claim: Claim, outcome: str) -> None:
    """Count an attempt at a chunk that came to another end, one of OUTCOMES, and the rows that failed with it."""
    CHUNKS.labels(claim.kind, outcome).inc()
    if claim.kind == "score" and outcome in ("failed", "quarantined"):
        REVIEWS.labels(_model(claim), "failed").inc(len(claim.review_ids))


def note_loaded(serving: Serving, seconds: float) -> None:
    """Count a model that was loaded, and is in memory from now on."""
    MODEL.labels(*serving).set(1)
    MODEL_LOADS.labels(*serving).inc()
    MODEL_LOAD_SECONDS.observe(seconds)


def note_forgotten(serving: Serving) -> None:
    """A model is not in memory any more."""
    MODEL.remove(*serving)


@contextmanager
def training(model: str) -> Iterator[None]:
    """Show the loss for as long as the block lasts."""
    try:
        yield
    finally:
        TRAINING_LOSS.remove(model)


def _model(claim: Claim) -> str:
    return str(claim.params.get("model", ""))
