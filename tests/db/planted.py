"""A small shop's reviews of three days, scored by two versions of a model, as docs/results.md asks about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, update

from db.claims import claim_chunk, finish_chunk
from db.database import Database
from db.job_counts import Told, add_counts
from db.jobs import NewJob, RejectedRow, create_job, settle_job
from db.predictions import Scored, ScoreFailure, Verdict, store_predictions, store_score_failures
from db.promotion import promote
from db.registry import RegisteredModel, register_model
from db.reviews import store_reviews
from db.tables import Job, Prediction
from tests.samples import SomeReview, facts

SOURCE = "shop.csv"
LABELS = ("negative", "neutral", "positive")
MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
#: External id, brand, text, and the probabilities of LABELS that sentiment@1 and sentiment@2 give it; None where the
#: version fails at it.
_REVIEWS = (
    ("1001", "Acme", "Arrived a day early and works.", (0.01, 0.03, 0.96), (0.01, 0.01, 0.98)),
    ("1002", "Acme", "Broke after a week. Avoid.", (0.93, 0.05, 0.02), (0.97, 0.02, 0.01)),
    ("1003", "Acme", "It is a kettle. It boils water.", (0.20, 0.45, 0.35), (0.10, 0.30, 0.60)),
    ("1004", "Bolt", "Not the colour I ordered, but nice.", (0.38, 0.22, 0.40), (0.52, 0.08, 0.40)),
    ("1005", "Bolt", "Too loud, too hot, too dear.", (0.88, 0.09, 0.03), (0.94, 0.05, 0.01)),
    ("1006", "Bolt", "Half of the screws were missing.", None, (0.86, 0.12, 0.02)),
    ("1007", "Bolt", "Does what it should.", (0.05, 0.55, 0.40), (0.03, 0.33, 0.64)),
)
#: What comes on Tuesday: a text that was changed, one that is new, and one that sentiment@1 has scored before.
_TUESDAYS = (
    ("1003", "Acme", "It boiled water for a month.", (0.71, 0.21, 0.08)),
    ("1008", "Acme", "Twice as fast as my old one.", (0.02, 0.08, 0.90)),
)
_AGAIN = _REVIEWS[0]
_UNREAD = ("1009", "Bolt", "Came in a box of its own size.")

Probabilities = tuple[float, ...]


@dataclass(frozen=True)
class Planted:
    """The versions, of which the first is in production, and the jobs in their order."""

    first: RegisteredModel
    second: RegisteredModel
    jobs: tuple[int, ...]


def plant(database: Database) -> Planted:
    """Fill an empty database. Ids and times are the same on every one."""
    with database.write() as connection:
        first, second = (_register(connection, digest) for digest in "ab")
        promote(connection, first.reference, "production")
        promote(connection, second.reference, "candidate")
        ids = [_store(connection, *review[:3]) for review in _REVIEWS]
        told = dict(zip(ids, (review[3] for review in _REVIEWS), strict=True))
        monday = _score(connection, first, ids, told, MONDAY, took_s=2.5, refused=1)
        changed = {_store(connection, *review[:3]): review[3] for review in _TUESDAYS}
        tuesday = _score(connection, first, [*changed, ids[0]], changed, MONDAY + timedelta(days=1), took_s=0.4)
        told = dict(zip(ids, (review[4] for review in _REVIEWS), strict=True))
        wednesday = _score(connection, second, ids, told, MONDAY + timedelta(days=2), took_s=3.2)
        unread = [_store(connection, *_UNREAD)]
        waiting, _ = create_job(connection, _new_job(first, unread))
        _set_times(connection, waiting, MONDAY + timedelta(days=2, hours=1))
    return Planted(first, second, (monday, tuesday, wednesday, waiting))


def _register(connection: Connection, digest: str) -> RegisteredModel:
    known = facts(digest * 64, LABELS)
    return register_model(connection, "sentiment", Path("/models/sentiment"), known, kind="directory")


def _store(connection: Connection, external_id: str, brand: str, words: str) -> int:
    # One at a time, so that every database numbers them alike.
    return store_reviews(connection, SOURCE, [SomeReview(external_id, words, extra={"brand": brand})])[0]


def _new_job(model: RegisteredModel, ids: Sequence[int], refused: int = 0) -> NewJob:
    rejected = [RejectedRow(9 + number, None, "the text is empty") for number in range(refused)]
    return NewJob("score", {"source": SOURCE}, [ids], model_id=model.id, rejected=rejected)


def _score(
    connection: Connection,
    model: RegisteredModel,
    ids: Sequence[int],
    told: dict[int, Probabilities | None],
    at: datetime,
    *,
    took_s: float,
    refused: int = 0,
) -> int:
    """A job of one chunk, from its claim to its end; what nothing is `told` of it reuses."""
    job_id, (chunk_id,) = create_job(connection, _new_job(model, ids, refused))
    claim = claim_chunk(connection, chunk_id, "me", 60)
    assert claim is not None
    scored = [Scored(id_, job_id, _verdict(said)) for id_, said in told.items() if said is not None]
    store_predictions(connection, model.id, scored)
    failures = [ScoreFailure(id_, None, "the model gives no number") for id_, said in told.items() if said is None]
    store_score_failures(connection, job_id, failures)
    reused = len(set(ids) - set(told))
    finish_chunk(connection, claim, scored=len(scored), reused=reused, failed=len(failures))
    _count(connection, job_id, [*(one.verdict for one in scored), *[_verdict(_AGAIN[3])] * reused])
    settle_job(connection, job_id)
    _set_times(connection, job_id, at, took_s)
    return job_id


def _verdict(said: Probabilities | None) -> Verdict:
    assert said is not None
    second, first = sorted(said)[-2:]
    probabilities = dict(zip(LABELS, said, strict=True))
    label = max(probabilities, key=probabilities.__getitem__)
    return Verdict(label, first, round(first - second, 6), probabilities, 9, False, "float32")


def _count(connection: Connection, job_id: int, verdicts: Sequence[Verdict]) -> None:
    told = Told()
    for verdict in verdicts:
        told.add(verdict.label, verdict.reading)
    add_counts(connection, {job_id: told})


def _set_times(connection: Connection, job_id: int, at: datetime, took_s: float | None = None) -> None:
    times = {"created_at": at}
    if took_s is not None:
        times |= {"started_at": at, "finished_at": at + timedelta(seconds=took_s)}
        scored = update(Prediction).where(Prediction.job_id == job_id)
        connection.execute(scored.values(scored_at=at + timedelta(seconds=took_s)))
    connection.execute(update(Job).where(Job.id == job_id).values(**times))
