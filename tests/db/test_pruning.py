"""Pruning takes what is old and nobody needs, tells it before, and leaves everything else."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select, update

import db.pace
from db.claims import claim_chunk, fail_chunk, finish_chunk
from db.clock import database_time
from db.database import Database
from db.errors import JobNotOver, JobPruned, UnknownJob
from db.jobs import LabelledReview, RejectedRow, create_job, job_status, settle_job
from db.jobs import NewJob as Wanted
from db.pace import Pace
from db.predictions import Scored, store_predictions
from db.prunable import PruneWish
from db.prune_plan import plan_pruning
from db.pruning import Pruning
from db.registry import RegisteredModel, register_model
from db.retry import retry_job
from db.reviews import store_reviews
from db.tables import Base, Chunk, Failure, Job, Prediction, Review
from tests.samples import SomeReview, facts, verdict

OLD, YOUNG = timedelta(days=100), timedelta(days=1)


class Mill:
    """A database with jobs that ended so long ago."""

    def __init__(self, database: Database, model: RegisteredModel) -> None:
        self.database, self.model = database, model
        with database.write() as connection:
            self.other = register_model(connection, "other", Path("/m/other"), facts("e" * 64), kind="directory")
            self.now = database_time(connection)

    @property
    def wish(self) -> PruneWish:
        return PruneWish(self.now - timedelta(days=90))

    def score(
        self,
        names: Sequence[str],
        age: timedelta | None,
        model: RegisteredModel | None = None,
        wrote: Sequence[str] | None = None,
        chunk: int = 2,
        **fields: object,
    ) -> int:
        """A scoring job that ended so long ago, or that is pending; it wrote the predictions named, or all."""
        model = model or self.model
        with self.database.write() as connection:
            ids = dict(zip(names, store_reviews(connection, "f.csv", [_review(one) for one in names]), strict=True))
            parts = [list(ids.values())[at : at + chunk] for at in range(0, len(ids), chunk)]
            job_id, chunk_ids = create_job(connection, Wanted("score", {}, parts, model_id=model.id, **fields))
            if age is None:
                return job_id
            for chunk_id in chunk_ids:
                held = claim_chunk(connection, chunk_id, "me", 60)
                finish_chunk(connection, held, scored=len(held.review_ids))
            settle_job(connection, job_id)
            wanted = names if wrote is None else wrote
            store_predictions(connection, model.id, [Scored(ids[one], job_id, verdict(0.9)) for one in wanted])
            self._date(connection, job_id, age, [ids[one] for one in wanted], model.id)
        return job_id

    def _date(self, connection: Connection, job_id: int, age: timedelta, ids: list[int], model_id: int) -> None:
        at = self.now - age
        connection.execute(update(Job).where(Job.id == job_id).values(finished_at=at))
        connection.execute(update(Failure).where(Failure.job_id == job_id).values(created_at=at))
        mine = (Prediction.review_id.in_(ids), Prediction.model_id == model_id)
        connection.execute(update(Prediction).where(*mine).values(scored_at=at))
        connection.execute(update(Review).where(Review.created_at > at).values(created_at=at))

    def prune(self, **changes: object) -> dict[str, int]:
        """Prune, and check that all that went, and nothing else, was told before."""
        wish = PruneWish(**{"before": self.wish.before, **changes})
        before = self.counts()
        told = plan_pruning(self.database, wish)
        assert self.counts() == before
        deleted = Pruning(self.database, wish).run()
        after = self.counts()
        lost = {name: before[name] - after[name] for name in before if before[name] != after[name]}
        assert {name: one.rows for name, one in told.tables.items() if one.rows} == lost
        assert {name: one.rows for name, one in deleted.tables.items() if one.rows} == lost
        for table in told.tables.values():
            if table.newest is not None:
                assert table.oldest <= table.newest < wish.before
        return lost

    def counts(self) -> dict[str, int]:
        with self.database.read() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table))
                for table in Base.metadata.sorted_tables
            }

    def predicted(self) -> set[tuple[str, str]]:
        with self.database.read() as connection:
            found = select(Review.external_id, Prediction.model_id).join(Review, Review.id == Prediction.review_id)
            names = {self.model.id: "sentiment", self.other.id: "other"}
            return {(external_id, names[model_id]) for external_id, model_id in connection.execute(found)}

    def reviews(self) -> set[str]:
        with self.database.read() as connection:
            return set(connection.scalars(select(Review.external_id)))

    def of_chunks(self, job_id: int) -> list[str]:
        with self.database.read() as connection:
            names = dict(connection.execute(select(Review.id, Review.external_id)).all())
            found = connection.scalars(select(Chunk.review_ids).where(Chunk.job_id == job_id).order_by(Chunk.position))
            return [names[id_] for ids in found for id_ in ids]


def _review(name: str) -> SomeReview:
    return SomeReview(name, f"text {name}")


@pytest.fixture
def mill(database: Database, model: RegisteredModel) -> Mill:
    return Mill(database, model)


def test_what_an_old_job_left_behind_goes_with_it(mill: Mill) -> None:
    mill.score(["a", "b", "c"], OLD, rejected=[RejectedRow(7, "z", "no text")])
    young = mill.score(["d", "e"], YOUNG)
    assert mill.prune() == {"predictions": 3, "failures": 1, "chunks": 2, "jobs": 1, "reviews": 3}
    assert mill.predicted() == {("d", "sentiment"), ("e", "sentiment")}
    with mill.database.read() as connection:
        assert job_status(connection, young).scored == 2
        with pytest.raises(UnknownJob):
            job_status(connection, young - 1)
    assert mill.prune() == {}


def test_what_a_younger_job_reused_is_its_result_too(mill: Mill) -> None:
    old = mill.score(["a", "b", "c"], OLD)
    mill.score(["b", "d"], YOUNG, wrote=["d"])
    assert mill.prune() == {"predictions": 2, "reviews": 2}
    assert mill.predicted() == {("b", "sentiment"), ("d", "sentiment")}
    # It stays for the one prediction that it wrote, says so, and counts what it did then.
    assert mill.of_chunks(old) == ["b"]
    with mill.database.read() as connection:
        job = job_status(connection, old)
    assert (job.total, job.scored, job.state) == (3, 3, "done")
    assert datetime.fromisoformat(job.params["pruned"]) - mill.now < timedelta(minutes=5)
    mill.score(["x"], YOUNG)
    assert mill.prune() == {}


@pytest.mark.parametrize("state", ["pending", "leased"])
def test_what_a_job_that_is_not_over_may_reuse_stays(mill: Mill, state: str) -> None:
    mill.score(["a", "b"], OLD)
    waiting = mill.score(["b", "c"], None)
    if state == "leased":
        with mill.database.write() as connection:
            (chunk_id,) = connection.scalars(select(Chunk.id).where(Chunk.job_id == waiting))
            claim_chunk(connection, chunk_id, "me", 60)
    assert mill.prune() == {"predictions": 1, "reviews": 1}
    assert mill.reviews() == {"b", "c"}
    assert mill.of_chunks(waiting) == ["b", "c"]


def test_another_model_needs_no_prediction_of_this_one(mill: Mill) -> None:
    mill.score(["a", "b"], OLD)
    mill.score(["a", "z"], YOUNG, mill.other)
    assert mill.prune() == {"predictions": 2, "chunks": 1, "jobs": 1, "reviews": 1}
    assert (mill.predicted(), mill.reviews()) == ({("a", "other"), ("z", "other")}, {"a", "z"})


def test_the_newest_prediction_of_each_review_is_kept_if_asked(mill: Mill) -> None:
    mill.score(["a", "b"], 2 * OLD)
    mill.score(["a"], OLD, mill.other)
    mill.score(["z"], YOUNG)
    assert mill.prune(keep_latest=True) == {"predictions": 1}
    assert mill.predicted() == {("a", "other"), ("b", "sentiment"), ("z", "sentiment")}
    assert mill.reviews() == {"a", "b", "z"}
    assert mill.prune(keep_latest=True) == {}


@pytest.mark.parametrize("narrowed", [False, True])
def test_the_newest_job_and_the_newest_review_keep_their_ids(mill: Mill, narrowed: bool) -> None:
    job_id = mill.score(["a", "b"], OLD)
    assert mill.prune(job_ids=(job_id,) if narrowed else ()) == {"predictions": 2, "reviews": 1}
    assert mill.reviews() == {"b"}
    with mill.database.read() as connection:
        newest = connection.scalar(select(func.max(Review.id)))
        job = job_status(connection, job_id)
    assert (job.scored, "pruned" in job.params, mill.of_chunks(job_id)) == (2, True, [])
    mill.score(["c"], YOUNG)
    with mill.database.read() as connection:
        assert connection.scalar(select(Review.id).where(Review.external_id == "c")) > newest


def test_only_the_jobs_and_models_that_are_named(mill: Mill) -> None:
    first, second = mill.score(["a", "b"], OLD), mill.score(["b", "c"], OLD, wrote=["c"])
    mill.score(["a"], OLD, mill.other)
    mill.score(["z"], YOUNG)
    # What another job has too stays, however old that is.
    assert mill.prune(job_ids=(second,)) == {"predictions": 1, "reviews": 1, "chunks": 1, "jobs": 1}
    assert mill.of_chunks(first) == ["a", "b"]
    assert mill.prune(model_ids=(mill.other.id,)) == {"predictions": 1, "chunks": 1, "jobs": 1}
    assert mill.reviews() == {"a", "b", "z"}
    assert mill.prune(job_ids=(first,), model_ids=(mill.other.id,)) == {}


def test_trainings_that_made_a_model_stay_with_their_examples_and_others_go(mill: Mill) -> None:
    with mill.database.write() as connection:
        ids = store_reviews(connection, "f.csv", [_review(name) for name in "abcd"])
        for model_id, examples in ((mill.model.id, ids[:2]), (None, ids[2:])):
            labelled = [LabelledReview(id_, "positive", "train") for id_ in examples]
            job_id, (chunk_id,) = create_job(connection, Wanted("finetune", {}, [examples], examples=labelled))
            fail_chunk(connection, claim_chunk(connection, chunk_id, "me", 60), "oops")
            connection.execute(update(Job).where(Job.id == job_id).values(model_id=model_id))
        connection.execute(update(Job).values(finished_at=mill.now - OLD))
        connection.execute(update(Review).values(created_at=mill.now - OLD))
    mill.score(["z"], YOUNG)
    assert mill.prune() == {"examples": 2, "chunks": 1, "jobs": 1, "reviews": 2}
    assert mill.reviews() == {"a", "b", "z"}
    with pytest.raises(JobNotOver, match="job 1 made sentiment@1 and stays beside it"):
        mill.prune(job_ids=(1,))


def test_a_job_that_was_pruned_is_not_run_again(mill: Mill) -> None:
    job_id = mill.score(["a"], OLD, rejected=[RejectedRow(7, "z", "no text")])
    mill.prune()
    with pytest.raises(JobPruned, match="score its source again"), mill.database.write() as connection:
        retry_job(connection, job_id)


def test_jobs_that_cannot_be_pruned_are_refused(mill: Mill) -> None:
    waiting = mill.score(["a"], None)
    with pytest.raises(JobNotOver, match=f"job {waiting} is pending; wait for it, or cancel it"):
        mill.prune(job_ids=(waiting,))
    with pytest.raises(UnknownJob):
        mill.prune(job_ids=(99,))


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Callable[[], object]], None]]:
    """Do something before the transaction of that number; each may change two rows."""
    planned: dict[int, Callable[[], object]] = {}
    transaction, count = Pace.transaction, [0]
    monkeypatch.setattr(db.pace, "_MOST_ROWS", 2)
    monkeypatch.setattr(Pace, "first_rows", 2)

    def counted(pace: Pace, database: Database) -> object:
        count[0] += 1
        planned.get(count[0], lambda: None)()
        return transaction(pace, database)

    monkeypatch.setattr(Pace, "transaction", counted)
    yield planned.__setitem__
    assert max(planned) <= count[0]


def test_a_job_that_comes_meanwhile_finds_what_it_asks_for(mill: Mill, between: Callable) -> None:
    mill.score(["a", "b", "c", "d"], OLD)
    between(2, lambda: mill.score(["c", "z"], None))
    Pruning(mill.database, mill.wish).run()
    assert mill.predicted() == {("c", "sentiment")}
    assert mill.reviews() == {"c", "z"}


def test_a_job_that_comes_while_reviews_go_keeps_its_own(mill: Mill, between: Callable) -> None:
    mill.score(["a", "b", "c", "d", "e"], OLD, chunk=5)
    mill.score(["z"], YOUNG)
    seen: list[int] = []

    def come(number: int) -> None:
        # The old job is gone: what is there of it are the reviews alone.
        if mill.counts()["jobs"] == 1 and not seen:
            seen.append(mill.score(["a", "e"], None))

    for number in range(1, 12):
        between(number, lambda number=number: come(number))
    Pruning(mill.database, mill.wish).run()
    assert seen
    assert {"a", "e", "z"} <= mill.reviews()
    assert {"b", "c", "d"}.isdisjoint(mill.reviews())


def test_a_job_that_is_being_made_in_that_moment_is_waited_for(mill: Mill) -> None:
    mill.score(["a", "b"], OLD)
    mill.score(["z"], YOUNG)
    pruning = threading.Thread(target=lambda: Pruning(mill.database, mill.wish).run())
    with mill.database.write() as connection:
        ids = store_reviews(connection, "f.csv", [_review("a")])
        create_job(connection, Wanted("score", {}, [ids], model_id=mill.model.id))
        pruning.start()
        pruning.join(1.0)
        assert pruning.is_alive()
    pruning.join(30)
    assert mill.predicted() == {("a", "sentiment"), ("z", "sentiment")}


def test_a_job_that_is_retried_meanwhile_is_left_alone(mill: Mill, between: Callable) -> None:
    with mill.database.write() as connection:
        ids = store_reviews(connection, "f.csv", [_review("x"), _review("y")])
        job_id, (good, bad) = create_job(connection, Wanted("score", {}, [ids[:1], ids[1:]], model_id=mill.model.id))
        finish_chunk(connection, claim_chunk(connection, good, "me", 60), scored=1)
        fail_chunk(connection, claim_chunk(connection, bad, "me", 60), "oops")
        store_predictions(connection, mill.model.id, [Scored(ids[0], job_id, verdict(0.9))])
        mill._date(connection, job_id, OLD, ids[:1], mill.model.id)

    def retry() -> None:
        with mill.database.write() as connection:
            assert retry_job(connection, job_id).chunks == 1

    between(1, retry)
    assert Pruning(mill.database, mill.wish).run().rows == 0
    with mill.database.read() as connection:
        job = job_status(connection, job_id)
    assert (job.state, "pruned" in job.params, mill.of_chunks(job_id)) == ("pending", False, ["x", "y"])


@pytest.mark.parametrize("number", range(1, 8))
def test_one_that_is_interrupted_is_consistent_and_goes_on(mill: Mill, between: Callable, number: int) -> None:
    mill.score(["a", "b", "c", "d"], OLD, rejected=[RejectedRow(7, "z", "no text")])
    mill.score(["b", "z"], YOUNG, wrote=["z"])

    def die() -> None:
        raise KeyboardInterrupt

    between(number, die)
    with pytest.raises(KeyboardInterrupt):
        Pruning(mill.database, mill.wish).run()
    with mill.database.read() as connection:
        job = job_status(connection, 1)
    assert (job.total, job.scored + job.failed) == (5, 5)
    assert ("pruned" in job.params) == (number > 1)
    between(number, lambda: None)  # of both runs together
    Pruning(mill.database, mill.wish).run()
    assert mill.predicted() == {("b", "sentiment"), ("z", "sentiment")}
    assert mill.reviews() == {"b", "z"}


def test_times_are_told_as_they_are_and_with_an_example(mill: Mill) -> None:
    mill.score(["a"], 2 * OLD)
    mill.score(["b"], OLD)
    mill.score(["z"], YOUNG)
    predictions = plan_pruning(mill.database, mill.wish).tables["predictions"]
    assert (predictions.oldest, predictions.newest) == (mill.now - 2 * OLD, mill.now - OLD)
    assert predictions.oldest.tzinfo is UTC
    assert predictions.example == "of review a of f.csv, scored by job 1"
