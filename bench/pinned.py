"""Reviewmill with its workers on cores of their own."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.ours import Mill
from broker.redis_server import RedisServer

_PATIENCE_S = 60


class PinnedMill(Mill):
    """A mill whose workers have a core each, around a Redis server of its own."""

    def __init__(self, home: Path, model: Path, environment: dict[str, str], cores: list[int]) -> None:
        self._cores = cores
        self._redis = RedisServer(home / "redis.sock", home / "redis.log")
        own = {"REVIEWMILL_REDIS_URL": f"redis+socket://{home / 'redis.sock'}"}
        super().__init__(home, model, {**environment, **own})

    @contextmanager
    def stack(self) -> Iterator[None]:
        """Redis and the workers, until the end of the block."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._redis.start()
        workers: list[subprocess.Popen[bytes]] = []
        try:
            workers += [self._worker({core}) for core in self._cores]
            yield
        finally:
            self._end(workers)

    def start_s(self, text: str) -> float:
        """Seconds from the start of a worker, on every core, to the end of a job that waits for it, of one review."""
        self._redis.start()
        job_id = self.enqueue([text])
        began = time.time()
        worker = self._worker(os.sched_getaffinity(0))
        try:
            return self._ended_at(job_id) - began
        finally:
            self._end([worker])

    def _end(self, workers: Sequence[subprocess.Popen[bytes]]) -> None:
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            worker.wait()
        self._redis.stop()

    def _ended_at(self, job_id: int) -> float:
        deadline = time.monotonic() + _PATIENCE_S
        with sqlite3.connect(self.home / "reviewmill.db") as connection:
            while time.monotonic() < deadline:
                found = connection.execute("SELECT finished_at FROM jobs WHERE id = ?", [job_id]).fetchone()
                if found[0] is not None:
                    return datetime.fromisoformat(found[0]).replace(tzinfo=UTC).timestamp()
                time.sleep(0.02)
        raise RuntimeError(f"job {job_id} was not done in {_PATIENCE_S} s; see {self.home / 'worker.log'}")

    def _worker(self, cores: set[int]) -> subprocess.Popen[bytes]:
        with (self.home / "worker.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "cli.main", "worker", "--devices", "cpu"],
                env=self.settings(),
                stdout=log,
                stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
