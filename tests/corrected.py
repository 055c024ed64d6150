"""Scored reviews, and what people say of them, for tests of corrections."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL, CheckpointFacts
from db.jobs import NewJob, create_job
from db.predictions import Scored, Verdict, store_predictions
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from tests.samples import SomeReview

#: A model of each kind, and what it says of four reviews r0 to r3.
ANSWERS: Mapping[str, Sequence[dict[str, float]]] = {
    "sentiment": [{"negative": 1 - p, "positive": p} for p in (0.9, 0.2, 0.55, 0.4)],
    "topics": [{"price": p, "service": q} for p, q in ((0.9, 0.2), (0.6, 0.7), (0.1, 0.3), (0.45, 0.95))],
    "mark": [{"mark": value} for value in (4.5, 1.0, 3.25, -0.5)],
}
KINDS = {"sentiment": SINGLE_LABEL, "topics": MULTI_LABEL, "mark": REGRESSION}


def add_model(connection: Connection, name: str, digest: str = "d" * 64) -> RegisteredModel:
    """Register the next version of one of these models."""
    facts = CheckpointFacts("bert", tuple(ANSWERS[name][0]), KINDS[name], 512, digest)
    return register_model(connection, name, Path("/models") / name, facts, kind="directory")


def score(
    connection: Connection, model: RegisteredModel, source: str = "f.csv", pair: str | None = None
) -> tuple[int, list[int]]:
    """Have the model score r0 to r3 of a source; returns the job's id and those of the reviews."""
    reviews = [SomeReview(f"r{number}", f"text {number}", pair) for number in range(4)]
    ids = store_reviews(connection, source, reviews)
    params = {"source": source} | ({} if pair is None else {"pair_column": "other"})
    job_id, _ = create_job(connection, NewJob("score", params, [ids], model_id=model.id))
    verdicts = [_verdict(values, model.problem_type) for values in ANSWERS[model.name]]
    scored = [Scored(id_, job_id, verdict) for id_, verdict in zip(ids, verdicts, strict=True)]
    store_predictions(connection, model.id, scored)
    return job_id, ids


def _verdict(values: dict[str, float], problem_type: str) -> Verdict:
    label = max(values, key=lambda name: values[name])
    if problem_type == REGRESSION:
        margin = None
    elif problem_type == MULTI_LABEL:
        margin = min(abs(2 * value - 1) for value in values.values())
    else:
        margin = abs(2 * values[label] - 1)
    return Verdict(label, values[label], margin, values, 5, False, "float32")
