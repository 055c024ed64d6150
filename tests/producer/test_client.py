"""The client on real databases and a real Redis; a thread does the workers' part by their own queries."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.errors import RedisUnreachable
from broker.redis_server import RedisServer
from db.claims import Claim, claim_chunk, fail_chunk, finish_chunk
from db.database import Database
from db.errors import DatabaseError, JobCancelled, UnknownJob, UnknownModel
from db.jobs import list_jobs, settle_job
from db.predictions import Scored, ScoreFailure, store_predictions, store_score_failures
from db.registry import register_model
from db.reviews import StoredReview
from db.tables import Chunk, Notification, Review
from producer import Client, JobFailed, ProducerError, Result, Unscored
from producer.errors import BadName, ColumnError, GuessError, NotifyError, OptionError, SourceError, SourceNameError
from tests.samples import CHECKPOINTS, facts, verdict

BERT = CHECKPOINTS / "bert"


@pytest.fixture
def client(database: Database, database_url: str, server: RedisServer) -> Iterator[Client]:
    """A client of a team's Redis and of each kind of database in turn, with a model called sentiment."""
    with database.write() as connection:
        register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
    client = Client(database_url, f"redis+socket://{server.socket}")
    yield client
    client.close()


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("key,body\n1,good\n2,bad\n3,\n4,good\n")
    return path


def work(database: Database, claim: Claim) -> None:
    """Do a chunk: whatever is good is positive, and what is unspeakable fails."""
    with database.write() as connection:
        columns = [Review.id, Review.external_id, Review.text, Review.text_pair, Review.text_hash]
        found = connection.execute(select(*columns).where(Review.id.in_(claim.review_ids)))
        stored = {row.id: StoredReview(*row) for row in found}
        failed = [one for one in stored.values() if "unspeakable" in one.text]
        good = [one for one in stored.values() if one not in failed]
        scored = [Scored(one.id, claim.job_id, verdict(0.9 if "good" in one.text else 0.2)) for one in good]
        store_predictions(connection, claim.model_id, scored)
        store_score_failures(
            connection, claim.job_id, [ScoreFailure(one.id, one.external_id, "unspeakable") for one in failed]
        )
        bad = sum(stored[id_] in failed for id_ in claim.review_ids)
        finish_chunk(connection, claim, scored=len(claim.review_ids) - bad, failed=bad)
        settle_job(connection, claim.job_id)


def claim_next(database: Database) -> Claim | None:
    with database.write() as connection:
        for chunk_id in connection.scalars(select(Chunk.id).where(Chunk.state == "pending")).all():
            return claim_chunk(connection, chunk_id, "me", 60)
    return None


@pytest.fixture
def working(database: Database) -> Iterator[None]:
    """Somebody who does every chunk that comes."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(0.05):
            claim = claim_next(database)
            if claim is not None:
                work(database, claim)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    stopping.set()
    thread.join(30)


@pytest.mark.usefixtures("working")
def test_a_source_is_scored_waited_for_and_read(client: Client, reviews: Path) -> None:
    job = client.score(reviews, text="body", id="key", model="sentiment")
    ended = job.wait(60)
    assert (ended.state, ended.total, ended.scored, ended.failed) == ("done", 4, 3, 1)
    found = {one.external_id: one for one in job.results()}
    assert {key: one.label for key, one in found.items()} == {"1": "positive", "2": "negative", "4": "positive"}
    first = found["1"]
    assert isinstance(first, Result)
    assert (first.score, first.probabilities["positive"], first.text) == (0.9, 0.9, "good")
    assert sum(first.probabilities.values()) == pytest.approx(1)
    assert [one.external_id for one in job.results(label="positive", limit=1)] == ["1"]
    assert list(job.results(min_probability=0.95)) == []
    assert client.job(job.id).status() == ended


@pytest.mark.usefixtures("working")
def test_texts_come_back_in_their_order_each_with_its_fate(client: Client) -> None:
    texts = ["bad", "good", "  ", "good", "unspeakable", "no \0 byte"]
    told = client.score_texts(texts, model="sentiment", timeout=60)
    assert [one.label if isinstance(one, Result) else one.reason for one in told] == [
        "negative",
        "positive",
        "the text is only white space",
        "positive",
        "unspeakable",
        "the text holds a NUL character, which no SQL text column can store",
    ]
    assert [one.text for one in told] == texts
    assert told[1] is told[3]
    assert isinstance(told[2], Unscored)
    assert {one.source for one in told if isinstance(one, Result)} == {"texts"}


@pytest.mark.usefixtures("working")
def test_pairs_are_told_apart_by_both_texts(client: Client) -> None:
    told = client.score_texts(
        ["bad", "good", "bad"], pairs=["x", "y", "y"], model="sentiment", source="pairs", timeout=60
    )
    assert [(one.text, one.text_pair) for one in told if isinstance(one, Result)] == [
        ("bad", "x"),
        ("good", "y"),
        ("bad", "y"),
    ]


def test_no_texts_are_no_job(client: Client, database: Database) -> None:
    assert client.score_texts([], model="sentiment") == []
    for texts, pairs in (("good", None), (["good"], "x"), (["good"], ["x", "y"])):
        with pytest.raises(SourceError):
            client.score_texts(texts, pairs=pairs, model="sentiment")
    for name in ("", "x" * 513):
        with pytest.raises(SourceNameError, match="the name of a source"):
            client.score_texts(["good"], source=name, model="sentiment")
    assert jobs(database) == 0


def test_a_wait_that_is_too_long_leaves_the_job_where_it_is(client: Client, reviews: Path) -> None:
    job = client.score(reviews, text="body", model="sentiment")
    with pytest.raises(TimeoutError, match="job 1 is pending still"):
        job.wait(0.1)
    assert job.status().state == "pending"


def test_a_job_that_failed_or_was_cancelled_is_no_success(client: Client, database: Database, reviews: Path) -> None:
    failed = client.score(reviews, text="body", model="sentiment")
    claim = claim_next(database)
    with database.write() as connection:
        fail_chunk(connection, claim, "the files are gone")
    with pytest.raises(JobFailed, match="job 1 failed: the files are gone") as caught:
        failed.wait(1)
    assert caught.value.status.failed == 4
    assert isinstance(caught.value, ProducerError)
    assert failed.retry().chunks == 1
    assert failed.status().state == "pending"
    cancelled = client.score(reviews, text="body", model="sentiment", priority="high")
    assert cancelled.cancel()
    assert not cancelled.cancel()
    with pytest.raises(JobFailed, match="job 2 was cancelled"):
        cancelled.wait()
    with pytest.raises(JobCancelled):
        cancelled.retry()


def test_what_is_wrong_is_said_and_nothing_is_enqueued(client: Client, database: Database, reviews: Path) -> None:
    wrong: list[tuple[type[Exception], Callable[[], object]]] = [
        (SourceError, lambda: client.score("nowhere.csv", text="body", model="sentiment")),
        (ColumnError, lambda: client.score(reviews, text="bodi", model="sentiment")),
        (UnknownModel, lambda: client.score(reviews, text="body", model="nobody")),
        (OptionError, lambda: client.score(reviews, text="body", model="sentiment", limit=0)),
        (OptionError, lambda: client.score(reviews, text="body", model="sentiment", priority="urgent")),  # type: ignore[arg-type]
        (OptionError, lambda: client.score(reviews, text="body", model="sentiment", precision="int4")),  # type: ignore[arg-type]
        (NotifyError, lambda: client.score(reviews, text="body", model="sentiment", notify="example.org")),
        (GuessError, lambda: client.finetune(reviews, text="body", name="m")),
        (BadName, lambda: client.finetune(reviews, text="body", label="key", name="a/b", base=str(BERT))),
        (OptionError, lambda: client.finetune(reviews, text="body", label="key", name="m", epochs=0)),
        (OptionError, lambda: client.finetune(reviews, text="body", label="key", name="m", patience=2)),
        (UnknownJob, lambda: client.job(7)),
    ]
    for error, call in wrong:
        with pytest.raises(error):
            call()
    assert jobs(database) == 0


def jobs(database: Database) -> int:
    with database.read() as connection:
        return len(list_jobs(connection))


def test_a_training_is_enqueued_as_the_command_does(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "labelled.csv"
    path.write_text("body,price,quality\n" + "".join(f"text {n},{n % 2},{n % 3 % 2}\n" for n in range(20)))
    job = client.finetune(
        path,
        text="body",
        label=["price", "quality"],
        multi_label=True,
        name="topics",
        base=str(BERT),
        epochs=3,
        batch_size=4,
        validation_split=0.25,
        test_split=0,
        early_stopping="loss",
        patience=2,
    )
    job_params = job.status().params
    assert (job_params["labels"], job_params["epochs"], job_params["patience"]) == (["price", "quality"], 3, 2)
    assert job_params["data"]["rows"] == 20
    assert set(job_params["data"]["examples"]) == {"train", "validation"}
    with pytest.raises(UnknownJob, match="a fine-tuning job: it has no results"):
        next(job.results())


def test_a_notification_goes_in_with_the_job(
    database_url: str, database: Database, server: RedisServer, reviews: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_NOTIFY_SECRET", "a secret of ours")
    client = Client(database_url, f"redis+socket://{server.socket}")
    client.score(reviews, text="body", model=str(BERT), notify="https://example.org/hook")
    with database.read() as connection:
        stored = connection.execute(select(Notification.job_id, Notification.url)).all()
    assert [tuple(row) for row in stored] == [(1, "https://example.org/hook")]
    client.close()


def test_what_is_not_there_is_said_in_a_line(tmp_path: Path, reviews: Path) -> None:
    with pytest.raises(DatabaseError, match="is not a database URL"):
        Client("nonsense")
    client = Client(f"sqlite:///{tmp_path / 'a.db'}", "redis://:geheim@127.0.0.1:9/0")
    with pytest.raises(RedisUnreachable, match="does not answer") as caught:
        client.score(reviews, text="body", model=str(BERT))
    assert "geheim" not in str(caught.value)
    with pytest.raises(RedisUnreachable), client:
        pass
