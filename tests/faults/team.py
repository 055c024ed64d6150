"""A team's set-up under test: its Redis, its database, its workers, and the books that must balance."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Connection, Select, exists, func, select

from broker.app import make_app
from broker.doorbell import ring
from broker.redis_server import RedisServer
from db.agreement import review_ids_in_order
from db.database import Database
from db.dialect import review_ids_of_job
from db.jobs import JobStatus, job_status
from db.results import label_counts
from db.rings import Ring
from db.tables import Base, Chunk, Failure, Prediction, Review
from tests.samples import CHECKPOINTS
from tests.system import Start, Started, processes_of, wait_until

BERT = CHECKPOINTS / "bert"

#: One kind of database in `make test`, both in `make faults`, where the fault has nothing to do with it.
ON_SQLITE = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True
)
ON_POSTGRESQL = pytest.mark.parametrize(
    "database_url", [pytest.param("sqlite", marks=pytest.mark.long), "postgresql"], indirect=True
)


@dataclass
class Team:
    """Commands of a team against its Redis and its database, and looks at both behind their backs."""

    database: Database
    server: RedisServer
    start: Start
    folder: Path
    home: Path
    model: Path

    def write_long_reviews(self, count: int, name: str = "long.csv") -> Path:
        """Reviews of the model's whole length: with the team's token budget each is a batch of its own."""
        return self.write_reviews(count, name, "number {} " + "the screen is wonderful and the price terrible " * 8)

    def write_reviews(
        self, count: int, name: str = "reviews.csv", text: str = "wonderful or terrible number {}"
    ) -> Path:
        """A csv of that many reviews, each with its number for an id."""
        path = self.folder / name
        lines = [f"{number},{text.format(number)}" for number in range(count)]
        path.write_text("\n".join(["key,body", *lines]) + "\n")
        return path

    def enqueue(self, source: Path, *options: object, model: Path | None = None) -> int:
        """Enqueue the scoring of a file and return the job's id."""
        columns = ("--text", "body", "--id", "key")
        return int(
            _json(
                self.command("score", source, *columns, "--model", model or self.model, "--no-wait", "--json", *options)
            )["job_id"]
        )

    def command(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run `reviewmill ARGUMENTS` to its end."""
        command = [sys.executable, "-m", "cli.main", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=300, check=False)

    def worker(self, *arguments: object, **environment: str) -> Started:
        """Start `reviewmill worker` on the CPU."""
        return self.start("worker", "--devices", "cpu", *arguments, **environment)

    def processes(self) -> list[int]:
        """Process ids of the device processes that run now."""
        return [pid for pid, line in processes_of(self.home).items() if "worker.process" in line]

    def redis(self) -> redis.Redis:
        """A plain client of the team's Redis."""
        return redis.Redis(unix_socket_path=os.fspath(self.server.socket))

    def status(self, job_id: int) -> JobStatus:
        """How the job stands in SQL."""
        with self.database.read() as connection:
            return job_status(connection, job_id)

    def wait_for(self, true: Callable[[JobStatus], object], job_id: int = 1, timeout_s: float = 120.0) -> JobStatus:
        """Wait until it is true of the job, and return how the job stands."""
        wait_until(lambda: true(self.status(job_id)), timeout_s)
        return self.status(job_id)

    def wait_for_end(self, job_id: int = 1, timeout_s: float = 120.0) -> JobStatus:
        """Wait until the job is over, and return how it ended."""
        return self.wait_for(lambda job: job.is_over, job_id, timeout_s)

    def wait_until_mid_chunk(self) -> int:
        """Wait until a chunk is held with some of its reviews inferred; return the process that holds it."""
        half_done = select(Chunk.lease_owner).where(
            Chunk.state == "leased", Chunk.scored > 0, Chunk.scored < Chunk.size * 0.8
        )
        wait_until(lambda: self._first(half_done))
        return int(self._first(half_done).rpartition(":")[2])

    def pause(self, pid: int) -> None:
        """Stop a process, as a suspended machine would, at an instant at which it does not keep SQLite locked."""
        os.kill(pid, signal.SIGSTOP)
        while self.database.is_sqlite and not self._is_writable():
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGSTOP)

    def _is_writable(self) -> bool:
        with closing(sqlite3.connect(self.database.place, timeout=2)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    def chunk_ids(self, job_id: int = 1) -> list[int]:
        """The chunks of the job, in order."""
        return self._all(select(Chunk.id).where(Chunk.job_id == job_id).order_by(Chunk.position))

    def attempts(self, job_id: int = 1) -> list[int]:
        """How often each chunk of the job was claimed."""
        return self._all(select(Chunk.attempt).where(Chunk.job_id == job_id).order_by(Chunk.position))

    def deaths(self, job_id: int = 1) -> int:
        """How many workers the chunks of the job lost."""
        return sum(self._all(select(Chunk.deaths).where(Chunk.job_id == job_id)))

    def count(self, table: type[Base]) -> int:
        """Rows of a table."""
        return int(self._first(select(func.count()).select_from(table)))

    def predictions(self) -> list[tuple]:
        """All that was ever said, every column of it, in order of review."""
        with self.database.read() as connection:
            return [tuple(row) for row in connection.execute(Prediction.__table__.select().order_by("review_id"))]

    def ring(self, chunk_id: int, times: int = 1) -> None:
        """Deliver the message of a chunk so many times."""
        app = make_app(f"redis+socket://{self.server.socket}")
        assert ring(app, [Ring(chunk_id, "score", "normal")] * times) == times

    def _all(self, statement: Select[Any]) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.scalars(statement))

    def _first(self, statement: Select[Any]) -> Any:
        with self.database.read() as connection:
            return connection.scalar(statement)

    def check_books(self, job_id: int = 1) -> JobStatus:
        """Hold the job's books against the tables they tell of."""
        job = self.status(job_id)
        with self.database.read() as connection:
            check_books(connection, job)
        return job


def stop(worker: Started, timeout_s: float = 60.0) -> str:
    """Stop a worker as a service manager does, and return what it logged."""
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout_s) == 0
    return worker.said()


def check_books(connection: Connection, job: JobStatus) -> None:
    """Every row of the job is counted once, and every count has its rows.

    A job that is over holds no lease; each of its reviews has one prediction or one failure, not both.
    """
    assert job.is_over
    states = dict(
        connection.execute(select(Chunk.state, func.count()).where(Chunk.job_id == job.id).group_by(Chunk.state)).all()
    )
    assert not set(states) & {"pending", "leased"}, states
    assert connection.scalar(select(func.count()).where(Chunk.job_id == job.id, Chunk.lease_owner.is_not(None))) == 0
    if job.state == "cancelled":
        assert job.scored + job.reused + job.failed <= job.total
        return
    assert job.scored + job.reused + job.failed == job.total
    assert ("failed" in states) == (job.state == "failed")
    if job.kind == "score" and job.state == "done":
        _check_results(connection, job)


def _check_results(connection: Connection, job: JobStatus) -> None:
    asked = review_ids_of_job(connection, job.id)
    reviews = connection.scalar(select(func.count()).select_from(Review).where(Review.id.in_(asked)))
    answered = select(Prediction.review_id).where(Prediction.model_id == job.model_id, Prediction.review_id.in_(asked))
    failed = select(Failure.review_id).distinct().where(Failure.job_id == job.id, Failure.review_id.is_not(None))
    predictions = connection.scalar(select(func.count()).select_from(answered.subquery()))
    failures = connection.scalar(select(func.count()).select_from(failed.subquery()))
    assert predictions + failures == reviews
    assert not set(connection.scalars(answered)) & set(connection.scalars(failed))
    assert connection.scalar(select(func.count()).where(Failure.job_id == job.id)) == job.failed
    labels = dict(connection.execute(answered.add_columns(Prediction.label)).all())
    told = [labels[id_] for id_ in review_ids_in_order(connection, job.id) if id_ in labels]
    assert label_counts(connection, job.id) == Counter(told)
    # NOT IN would compare each with each where a database has no memory for a hash of them.
    is_orphan = ~exists().where(Review.id == Prediction.review_id)
    orphans = select(func.count()).select_from(Prediction).where(is_orphan)
    assert connection.scalar(orphans) == 0


def _json(result: subprocess.CompletedProcess[str]) -> dict:
    assert result.returncode == 0, result
    return json.loads(result.stdout)
