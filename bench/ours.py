"""Reviewmill, end to end: a real stack, a real job, and what the database then says of it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.data import write_reviews

_PATIENCE_S = 60
_COMMAND = [sys.executable, "-m", "cli.main"]


@dataclass(frozen=True, slots=True)
class Scored:
    """What one job took. Times in seconds, memory in MiB.

    `seconds` is from the job's commit (enqueued) to its last result's commit, `command_s` what the command took as a
    person sees it, with reading the file and storing its reviews. `peak_mib` adds up the processes of the stack,
    each at its own peak; `worker_peak_mib` is the largest of them.
    """

    reviews: int
    seconds: float
    command_s: float
    first_result_s: float
    tokens: int
    batch_tokens: int
    device_busy: float | None
    peak_mib: float
    worker_peak_mib: float
    precision: str


def in_float32(folder: Path, **settings: str) -> dict[str, str]:
    """Settings, and others by name, of a mill that scores in float32; its graphs are kept in the folder."""
    own = {"PRECISION": "float32", "ENGINES": str(folder / "engines"), "REDIS_URL": "", "DATABASE_URL": ""}
    return {f"REVIEWMILL_{name}": value for name, value in {**own, **settings}.items()}


class Mill:
    """A home of its own for one engine and precision: its precision, once chosen, is remembered there."""

    def __init__(self, home: Path, model: Path, environment: dict[str, str]) -> None:
        self.home = home
        # One that is left from before knows the reviews already, and would score none again.
        shutil.rmtree(home, ignore_errors=True)
        self._model = model
        self._environment = environment

    def score(self, texts: list[str], warm_up: list[str]) -> Scored:
        """Score the texts on a stack that is warm. Raises CalledProcessError and RuntimeError."""
        with self.stack():
            self._job(warm_up)
            began = time.perf_counter()
            job = self._job(texts)
            return self._measured(job, time.perf_counter() - began)

    def enqueue(self, texts: list[str]) -> int:
        """Enqueue a job and return its id."""
        return int(self._score(texts, "--no-wait")["job_id"])

    def finetune(self, *arguments: str) -> tuple[dict[str, Any], float]:
        """Fine-tune on a stack that is up; what the command says, and the seconds that it took."""
        with self.stack():
            began = time.perf_counter()
            ended = self._run("finetune", *arguments, "--json")
            return ended | {"peak_mib": max(self._peaks())}, time.perf_counter() - began

    def _score(self, texts: list[str], *options: str) -> dict[str, Any]:
        # One file for all jobs: a precision is chosen for a source, as where one is scored every night.
        reviews = write_reviews(self.home / "reviews.jsonl", texts)
        columns = ["--text", "text", "--id", "id"]
        return self._run("score", str(reviews), *columns, "--model", str(self._model), "--json", *options)

    def _job(self, texts: list[str]) -> dict[str, Any]:
        ended = self._score(texts)
        if ended["state"] != "done" or ended["scored"] != len(texts):
            raise RuntimeError(f"the job did not score every review: {ended}")
        return ended

    def _measured(self, job: dict[str, Any], command_s: float) -> Scored:
        facts = self._run("jobs", "show", str(job["job_id"]), "--json")
        with sqlite3.connect(self.home / "reviewmill.db") as connection:
            tokens, batch_tokens = connection.execute(
                "SELECT sum(tokens), sum(batch_tokens) FROM chunks WHERE job_id = ?", [job["job_id"]]
            ).fetchone()
            (first,) = connection.execute(
                "SELECT min(scored_at) FROM predictions WHERE job_id = ?", [job["job_id"]]
            ).fetchone()
        created, finished = (_time(facts[name]) for name in ("created_at", "finished_at"))
        peaks = self._peaks()
        return Scored(
            reviews=job["scored"],
            seconds=finished - created,
            command_s=command_s,
            first_result_s=_time(first) - created,
            tokens=tokens,
            batch_tokens=batch_tokens,
            device_busy=facts["device_busy"],
            peak_mib=sum(peaks),
            worker_peak_mib=max(peaks),
            precision=next((one["chosen"] for one in facts["precisions"]), "float32"),
        )

    @contextmanager
    def stack(self) -> Iterator[None]:
        """The embedded stack, until the end of the block."""
        self.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen([*_COMMAND, "up"], env=self.settings(), stdout=said, stderr=said)
            try:
                self._wait_until_up(process)
                yield
            finally:
                process.terminate()
                process.wait()
        self._wait_until_gone()

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while len(self._processes()) < 3:  # the command, the stack's owner, and what it starts
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the stack did not start; see {self.home / 'logs'}")
            time.sleep(0.1)

    def _wait_until_gone(self) -> None:
        """Whoever comes next has the machine alone."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._processes() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _run(self, *arguments: str) -> dict[str, Any]:
        ended = subprocess.run([*_COMMAND, *arguments], env=self.settings(), capture_output=True, text=True)
        if ended.returncode != 0:
            raise RuntimeError((ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1])
        return dict(json.loads(ended.stdout))

    def settings(self) -> dict[str, str]:
        """The environment of its processes."""
        return {**os.environ, **self._environment, "REVIEWMILL_HOME": str(self.home)}

    def _peaks(self) -> list[float]:
        return [peak for folder in self._processes() if (peak := _peak_mib(folder))]

    def _processes(self) -> list[Path]:
        """The folders in /proc of all that runs for this home."""
        mark = f"REVIEWMILL_HOME={self.home}".encode()
        return [folder for folder in Path("/proc").iterdir() if folder.name.isdecimal() and mark in _settings(folder)]


def _settings(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it ended, or is another user's
        return []


def _peak_mib(process: Path) -> float:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _time(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=None).timestamp()
