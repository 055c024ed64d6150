"""What scoring a source would come to is told from its first rows, and nothing is stored."""

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from db.database import Database
from db.jobs import NewJob, create_job
from db.predictions import Scored, store_predictions
from db.registry import RegisteredModel
from db.speeds import Speed
from db.tables import Chunk, Job, Review
from producer.checkpoints import find_or_add_model
from producer.errors import SourceError
from producer.estimate import Estimate, Sample, estimate_scoring, expected_rows
from producer.intake import take_in
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Source, open_source
from tests.samples import CHECKPOINTS, verdict

SETTINGS = ProducerSettings()


@pytest.fixture
def model(database: Database) -> RegisteredModel:
    return find_or_add_model(database, str(CHECKPOINTS / "bert"))


def write(path: Path, *texts: str) -> Source:
    path.write_text("".join(json.dumps({"body": text}) + "\n" for text in texts))
    return open_source(str(path))


def estimated(database: Database, source: Source, model: RegisteredModel, **options: object) -> Estimate:
    options = {"devices": ["cpu@a"], **options}
    return estimate_scoring(database, source, Columns("body"), model, SETTINGS, **options)  # type: ignore[arg-type]


def score(database: Database, source: Source, model: RegisteredModel, tokens: int, device_s: float) -> None:
    """Store the source's reviews as scored, in one chunk that took so long on cpu@a."""
    ids = list(dict.fromkeys(take_in(database, source, Columns("body"), SETTINGS).review_ids))
    with database.write() as connection:
        job_id, (chunk_id,) = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        done = {"state": "done", "device": "cpu@a", "tokens": tokens, "device_s": device_s}
        connection.execute(update(Chunk).where(Chunk.id == chunk_id).values(done))
        store_predictions(connection, model.id, [Scored(id_, job_id, verdict(0.9)) for id_ in ids])


def test_a_whole_source_is_counted_exactly(database: Database, model: RegisteredModel, tmp_path: Path) -> None:
    score(database, write(tmp_path / "before.jsonl", "good film"), model, tokens=3_000, device_s=2.0)
    source = write(tmp_path / "r.jsonl", "good film", "bad film", "", "bad film", "long " * 100)
    estimate = estimated(database, source, model)
    assert (estimate.rows, estimate.is_exact, estimate.is_whole) == (5, True, True)
    sample = estimate.sample
    assert (sample.rows, sample.bad, sample.repeats, sample.known, sample.new) == (5, 1, 1, 1, 2)
    assert sample.truncated == 1
    # The new texts are "[CLS] bad film [SEP]", once, and the long one, of which the checkpoint reads 64 tokens.
    assert sample.new_tokens == 64 + 4
    assert estimate.seconds == (68 / 1_500,) * 2


def test_nothing_is_stored(database: Database, model: RegisteredModel, tmp_path: Path) -> None:
    estimated(database, write(tmp_path / "r.jsonl", "good film", "bad film"), model)
    with database.read() as connection:
        assert [connection.scalar(select(func.count()).select_from(table)) for table in (Review, Job)] == [0, 0]


def test_a_large_source_is_told_from_its_first_rows(database: Database, model: RegisteredModel, tmp_path: Path) -> None:
    source = write(tmp_path / "r.jsonl", *(f"review number {number:06}" for number in range(50_000)))
    estimate = estimated(database, source, model)
    assert (estimate.sample.rows, estimate.is_exact) == (2_000, False)
    assert estimate.rows == pytest.approx(50_000, rel=0.1)
    assert estimate.of_all(estimate.sample.new) == estimate.rows
    assert estimate.of_all(estimate.sample.tokens) == pytest.approx(estimate.sample.tokens * estimate.rows / 2_000)
    assert estimated(database, source, model, limit=2_500).rows == 2_500
    limited = estimated(database, source, model, limit=7)
    assert (limited.rows, limited.is_whole) == (7, True)
    assert expected_rows(source) == estimate.rows
    assert expected_rows(source, limit=30_000) == 30_000


def test_a_source_that_knows_its_rows_is_believed(
    database: Database, model: RegisteredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "r.jsonl", "a", "b", "c")
    monkeypatch.setattr(source, "rows", lambda: 1_234)
    estimate = estimated(database, source, model, sample_rows=2)
    assert (estimate.rows, estimate.is_exact, estimate.is_whole) == (1_234, True, False)
    assert expected_rows(source, limit=1_000) == 1_000


def test_a_source_that_tells_nothing_leaves_the_whole_open(
    database: Database, model: RegisteredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "r.jsonl", "a", "b", "c")
    monkeypatch.setattr(source, "share_read", lambda: None)
    estimate = estimated(database, source, model, sample_rows=2)
    assert (estimate.rows, estimate.of_all(1), estimate.seconds) == (None, None, None)


def test_two_devices_share_the_work_and_the_unmeasured_is_not_guessed_at() -> None:
    sample = Sample(rows=100, bad=0, repeats=0, known=0, new=100, tokens=1_000, truncated=0, new_tokens=1_000)
    speeds = {"cpu@a": Speed(100.0, 200.0), "gpu0@b": Speed(900.0, 1_800.0)}
    about = ("f", "m@1", 64, sample, 10_000, True)
    assert Estimate(*about, ["cpu@a", "gpu0@b", "cpu@c"], speeds).seconds == (50.0, 100.0)
    assert Estimate(*about, ["cpu@c"], {}).seconds is None


def test_all_scored_before_takes_no_time(database: Database, model: RegisteredModel, tmp_path: Path) -> None:
    source = write(tmp_path / "r.jsonl", "good", "bad")
    score(database, source, model, tokens=10, device_s=1.0)
    assert estimated(database, source, model, devices=["cpu@never"]).seconds == (0.0, 0.0)


def test_an_empty_source_is_told(database: Database, model: RegisteredModel, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("body\n")
    with pytest.raises(SourceError, match=r"r\.csv has no rows"):
        estimated(database, open_source(str(tmp_path / "r.csv")), model)
