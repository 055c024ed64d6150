"""A source that is rotten makes no job, and is read no further than needed to know."""

import json
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.database import Database
from db.jobs import job_status
from db.registry import RegisteredModel
from db.tables import Job
from producer.checkpoints import find_base, find_or_add_model
from producer.enqueue import Doorway, TrainingPlan
from producer.errors import LimitError, TooManyFailures
from producer.failure_limit import FailureLimit, read_failure_limit
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Record, Source, Unreadable, open_source
from producer.training_set import TrainingSources
from tests.samples import CHECKPOINTS


@pytest.fixture
def doorway(database: Database) -> Doorway:
    return Doorway(database, None, ProducerSettings())


@pytest.fixture
def model(database: Database) -> RegisteredModel:
    return find_or_add_model(database, str(CHECKPOINTS / "bert"))


class Counting:
    """A source that may know its rows, and counts those that were read."""

    def __init__(self, source: Source) -> None:
        self.name, self.notices, self.columns, self.share_read = source.name, [], source.columns, source.share_read
        self._source = source
        self.known: int | None = None
        self.given = 0

    def rows(self) -> int | None:
        return self.known

    def records(self, only: Collection[str] | None = None) -> Iterator[Record | Unreadable]:
        for record in self._source.records(only):
            self.given += 1
            yield record


def rotten(path: Path, rows: int, *, bad_from: int = 0, bad_to: int = 0) -> Counting:
    texts = ("" if bad_from <= number < bad_to else f"text {number}" for number in range(rows))
    path.write_text("".join(json.dumps({"body": text}) + "\n" for text in texts))
    return Counting(open_source(str(path)))


def scored(doorway: Doorway, model: RegisteredModel, source: Source, most_bad: str, rows: int | None = None) -> int:
    """How many rows the job made has."""
    allowed = read_failure_limit(most_bad)
    job_id = doorway.enqueue_scoring(source, Columns("body"), model, limit=rows, max_failures=allowed)
    with doorway.database.read() as connection:
        return job_status(connection, job_id).total


def no_job(database: Database) -> None:
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Job)) == 0


def test_as_many_as_allowed_are_failures_and_one_more_is_too_many(
    doorway: Doorway, model: RegisteredModel, tmp_path: Path
) -> None:
    source = rotten(tmp_path / "r.jsonl", 100, bad_from=10, bad_to=17)
    for limit in ("6", "0", "6.9%", "6%"):
        with pytest.raises(TooManyFailures) as caught:
            scored(doorway, model, source, limit)
    assert str(caught.value) == (
        "7 rows of the 100 read from r.jsonl are bad, and --max-failures allows 6%; nothing is enqueued. "
        "The first: line 11: no text; line 12: no text; line 13: no text"
    )
    no_job(doorway.database)
    assert scored(doorway, model, source, "7") == scored(doorway, model, source, "7%") == 100


def test_reading_stops_where_a_number_is_passed(doorway: Doorway, model: RegisteredModel, tmp_path: Path) -> None:
    source = rotten(tmp_path / "r.jsonl", 30_000, bad_from=5, bad_to=20)
    with pytest.raises(TooManyFailures, match="15 rows of the 10,000 read"):
        scored(doorway, model, source, "14")
    assert source.given < 10_002
    no_job(doorway.database)


def test_a_share_stops_early_only_where_the_rows_to_come_are_known(
    doorway: Doorway, model: RegisteredModel, tmp_path: Path
) -> None:
    source = rotten(tmp_path / "r.jsonl", 25_000, bad_from=0, bad_to=2_000)
    assert scored(doorway, model, source, "8%") == 25_000
    source.known, source.given = 25_000, 0
    with pytest.raises(TooManyFailures, match="2,000 rows of the 10,000 read"):
        scored(doorway, model, source, "7.9%")
    assert source.given < 10_002


def test_a_share_is_one_of_the_rows_within_the_limit(doorway: Doorway, model: RegisteredModel, tmp_path: Path) -> None:
    source = rotten(tmp_path / "r.jsonl", 100, bad_from=0, bad_to=5)
    assert scored(doorway, model, source, "5%") == 100
    with pytest.raises(TooManyFailures, match="5 rows of the 50 read"):
        scored(doorway, model, source, "9%", rows=50)


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        ("0", FailureLimit(0)),
        ("100", FailureLimit(100)),
        ("29%", FailureLimit(share=Fraction(29, 100))),
        (" 2.5% ", FailureLimit(share=Fraction(1, 40))),
        ("100%", FailureLimit(share=Fraction(1))),
    ],
)
def test_limits_are_read(written: str, limit: FailureLimit) -> None:
    assert read_failure_limit(written) == limit


def test_a_share_is_exact() -> None:
    assert read_failure_limit("29%").allowed(100) == 29


@pytest.mark.parametrize("written", ["", "-1", "many", "101%", "5 %%", "%", "1.5", "nan%", "1e9%"])
def test_what_is_no_limit_is_refused(written: str) -> None:
    with pytest.raises(LimitError, match="is no limit: give a number of rows such as 100, or a share"):
        read_failure_limit(written)


def test_labelled_rows_count_too(doorway: Doorway, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("body,label\na,x\nb,x\nc,y\nd,y\n,x\ne,\n")
    base = find_base(doorway.database, str(CHECKPOINTS / "bert"))
    sources, columns = TrainingSources(open_source(str(path))), Columns("body", label="label")
    plan = TrainingPlan("m", validation_share=0, test_share=0)
    with pytest.raises(TooManyFailures, match=r"line 6: no text; line 7: no label"):
        doorway.prepare_finetuning(sources, columns, base, plan, max_failures=FailureLimit(1))
    assert len(doorway.prepare_finetuning(sources, columns, base, plan, max_failures=FailureLimit(2)).examples) == 4
