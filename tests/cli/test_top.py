"""What `reviewmill top` shows: of a real job under way, and in terminals of every size."""

import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from sqlalchemy import create_engine, event, text, update
from sqlalchemy import select as select_rows

from broker.redis_server import RedisServer
from cli.dashboard.cells import headline, sections, span
from cli.dashboard.frame import frame
from cli.dashboard.rates import Rates
from cli.dashboard.snapshot import ActiveJob, Queue, Snapshot, take_snapshot
from cli.top import _View
from db.checkpoint import read_checkpoint_facts
from db.claims import claim_chunk, finish_chunk
from db.clock import utc_now
from db.database import Database
from db.jobs import JobStatus, NewJob, create_job
from db.registry import register_model
from db.reviews import store_reviews
from db.tables import Chunk, Job, TrainingMetric
from db.workers import HeldChunk, LiveWorker, SignOfLife, live_workers, register_worker
from tests.conftest import Run
from tests.samples import CHECKPOINTS, SomeReview, facts
from tests.system import Start, home, leave_nothing, processes_of, start, wait_until

__all__ = ["home", "leave_nothing", "start"]

BERT = CHECKPOINTS / "bert"
NOW = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)


@pytest.fixture
def named(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A migrated, empty database of each kind, which the settings name."""
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database.url.render_as_string(hide_password=False))
    return database


@pytest.fixture
def planted(named: Database) -> Database:
    """A scoring that runs, one that waits, and a training; and the worker that holds chunks of two of them."""
    with named.write() as connection:
        model = register_model(connection, "taste", Path("/m"), facts(), kind="directory")
        ids = store_reviews(connection, "f.csv", [SomeReview(str(number), f"text {number}") for number in range(40)])
        chunks = [ids[at : at + 10] for at in range(0, 40, 10)]
        _, first = create_job(connection, NewJob("score", {}, chunks, model_id=model.id))
        create_job(connection, NewJob("score", {}, chunks, model_id=model.id, priority="high"))
        training, only = create_job(connection, NewJob("finetune", {"steps": 200}, [ids[:10]]))
        done = claim_chunk(connection, first[0], "box:7", 60)
        assert done is not None
        finish_chunk(connection, done, scored=9, failed=1)
        for chunk_id in (first[1], only[0]):
            claim_chunk(connection, chunk_id, "box:7", 60)
        connection.execute(
            TrainingMetric.__table__.insert().values(job_id=training, epoch=0, step=50, name="loss", value=0.5)
        )
        connection.execute(update(Job).where(Job.state == "running").values(started_at=utc_now(-100)))
        connection.execute(update(Chunk).values(rung_at=utc_now(-75)))
        models = [{"model": "taste@1", "precision": "int8", "bytes": 1}]
        register_worker(
            connection, SignOfLife("box:7", "box", 7, "cpu@box", ["score", "train"], "cpu", models, "0.1.0", 12.5, 0.97)
        )
    return named


def test_a_snapshot_tells_of_jobs_workers_and_queues(planted: Database) -> None:
    seen = take_snapshot(planted, most_jobs=2)
    assert [(one.status.id, one.done, one.total, one.unit) for one in seen.jobs] == [
        (1, 10, 40, "reviews"),
        (3, 50, 200, "steps"),
    ]
    assert seen.counts == {"running": 2, "pending": 1}
    assert seen.reviews_per_s == 12.5
    assert [(chunk.job_id, chunk.chunk_id) for chunk in seen.held["box:7"]] == [(1, 2), (3, 9)]
    queues = [(one.name, one.priority, one.waiting, one.put_off, one.at_work) for one in seen.queues]
    assert queues == [("score", "high", 4, 0, 0), ("score", "normal", 2, 0, 1), ("train", "normal", 0, 0, 1)]
    oldest = seen.queues[0].oldest_s
    assert oldest is not None
    assert oldest >= 75
    assert seen.queues[2].oldest_s is None


def test_a_look_reads_neither_predictions_nor_reviews(planted: Database) -> None:
    asked: list[str] = []
    event.listen(planted.engine, "before_cursor_execute", lambda *about: asked.append(about[2]))
    take_snapshot(planted, most_jobs=10)
    assert len(asked) > 5
    assert not [one for one in asked if re.search(r"\b(predictions|reviews|failures|examples)\b", one)]


def test_one_frame_is_printed_whole(planted: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = run("top", "--once").stdout
    assert "12.5 reviews/s · 2 running · 1 waiting · 1 worker" in shown
    assert re.search(r"1 +score +running +normal +███░+ +10/40 +0\.\d reviews/s +\d+:\d\d +1 +taste@1", shown)
    assert re.search(r"3 +finetune +running +normal +███░+ +50/200 +0\.\d steps/s", shown)
    assert re.search(r"2 +score +waiting +high +░+ +0/40", shown)
    assert re.search(r"cpu@box +box:7 +cpu +2 of job 1 \+1 +12\.5 +97\.0% +0:\d\d ago +taste@1 int8", shown)
    assert re.search(r"score +high +4 +1:\d\d +0 +0", shown)
    assert not re.search("more$", shown, re.MULTILINE)


def test_one_document_is_printed(planted: Database, run: Run) -> None:
    document = json.loads(run("top", "--json").stdout)
    job = document["jobs"][0]
    assert (job["id"], job["done"], job["total"], job["failed"], job["unit"]) == (1, 10, 40, 1, "reviews")
    assert job["eta_s"] == pytest.approx(30 / job["pace"])
    (worker,) = document["workers"]
    assert worker["chunks"] == [{"job_id": 1, "chunk_id": 2}, {"job_id": 3, "chunk_id": 9}]
    assert (document["running"], document["waiting"], document["reviews_per_s"]) == (2, 1, 12.5)


@pytest.mark.usefixtures("named")
def test_where_nothing_is_there_it_says_so(run: Run) -> None:
    shown = run("top", "--once").stdout
    assert shown.splitlines()[0].endswith("no worker")
    assert shown.count("none") == 3


def test_while_the_database_is_away_what_was_there_last_stays(postgresql_server: str, postgresql_url: str) -> None:
    database, admin = Database(postgresql_url), create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    view, name = _View(database), database.url.database

    def shown() -> str:
        console = Console(width=120, file=io.StringIO(), record=True)
        console.print(view.look(30))
        return console.export_text()

    assert "tried again" not in shown()
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
        assert "no worker" in (away := shown())
        assert "tried again" in away
        connection.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    assert "tried again" not in shown()
    admin.dispose()
    database.close()


@pytest.mark.usefixtures("named")
def test_without_a_terminal_it_takes_once(run: Run) -> None:
    done = run("top")
    assert (done.returncode, "--once" in done.stderr, done.stdout) == (2, True, "")
    assert run("top", "--once", "--every", "0").returncode == 2


def test_a_real_job_under_way_is_shown(
    named: Database, server: RedisServer, start: Start, run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REVIEWMILL_PRECISION", "float32")
    monkeypatch.setenv("REVIEWMILL_REDIS_URL", f"redis+socket://{server.socket}")
    monkeypatch.setenv("REVIEWMILL_SWEEP_S", "0.3")
    monkeypatch.setenv("REVIEWMILL_LEASE_S", "2")
    monkeypatch.setenv("REVIEWMILL_TOKEN_BUDGET", "64")
    words = "the screen is wonderful and the price terrible " * 8
    with named.write() as connection:
        model = register_model(connection, "bert", BERT, read_checkpoint_facts(BERT), kind="directory")
        ids = store_reviews(
            connection, "f.csv", [SomeReview(f"r{number}", f"{number} {words}") for number in range(20_000)]
        )
        create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
    worker = start("worker", "--devices", "cpu")

    def is_under_way() -> bool:
        with named.read() as connection:
            return bool(connection.scalar(select_rows(Chunk.scored))) and bool(live_workers(connection))

    wait_until(is_under_way)
    # Stopped where it is: on a busy machine the job would be over before anybody has looked.
    (pid,) = [pid for pid, line in processes_of(home).items() if "worker.process" in line]
    os.kill(pid, signal.SIGSTOP)
    document = json.loads(run("top", "--json").stdout)
    frame_ = run("top", "--once").stdout
    os.kill(pid, signal.SIGCONT)
    os.killpg(worker.pid, signal.SIGINT)
    assert worker.wait(60) == 0
    (job,), (told,) = document["jobs"], document["workers"]
    assert (job["state"], job["total"], 0 < job["done"] < 20_000, job["pace"] > 0) == ("running", 20_000, True, True)
    assert (told["device"].partition("@")[0], told["chunks"]) == ("cpu", [{"job_id": 1, "chunk_id": 1}])
    assert "1 running · 0 waiting · 1 worker" in frame_
    assert "1 of job 1" in frame_


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # Tests that a shell runs in its background would hand down a Ctrl-C that is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A terminal with `reviewmill top` in it."""

    def __init__(self, rows: int, columns: int, *arguments: str) -> None:
        self._ours, self.theirs = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "top", *arguments],
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env={**os.environ, "TERM": "xterm-256color"} | {"COLUMNS": "", "LINES": ""},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        self.shown = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def read(self) -> bytes:
        """What is on the screen since it was last drawn from its top."""
        while select.select([self._ours], [], [], 0)[0]:
            self.shown += os.read(self._ours, 65_536)
        return self.shown.rpartition(b"\x1b[H")[2]

    def end(self) -> int:
        """Wait for its end, reading on: one that cannot write waits too."""
        wait_until(lambda: self.read() is not None and self.process.poll() is not None, 30)
        self.read()
        return int(self.process.returncode)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self.theirs)


@pytest.fixture
def terminal(planted: Database, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    opened = Terminal(30, 110, "--every", getattr(request, "param", "0.2"))
    yield opened
    opened.close()


@pytest.mark.parametrize("way", ["q", "Q", "\x03", "SIGTERM"])
def test_the_live_view_goes_and_leaves_the_terminal_as_it_was(terminal: Terminal, way: str) -> None:
    wait_until(lambda: b"reviews/s" in terminal.read(), 30)
    assert termios.tcgetattr(terminal.theirs) != terminal.before
    if way == "SIGTERM":
        terminal.process.terminate()
    else:
        terminal.press(way)
    assert terminal.end() == 0
    assert termios.tcgetattr(terminal.theirs) == terminal.before
    # Another screen was taken and given back, and the cursor is seen again.
    assert terminal.shown.count(b"\x1b[?1049h") == terminal.shown.count(b"\x1b[?1049l") == 1
    assert terminal.shown.rindex(b"\x1b[?25h") > terminal.shown.rindex(b"\x1b[?25l")
    assert b"Traceback" not in terminal.shown


def test_the_live_view_follows_the_work(terminal: Terminal, planted: Database) -> None:
    wait_until(lambda: b"12.5 reviews/s" in terminal.read(), 30)
    with planted.write() as connection:
        connection.execute(update(Job).where(Job.id == 2).values(state="cancelled"))
        sign = SignOfLife("box:7", "box", 7, "cpu@box", ["score"], "cpu", [], "0.1.0", 99.5, 0.1)
        register_worker(connection, sign)
    wait_until(lambda: b"99.5 reviews/s" in terminal.read() and b"0 waiting" in terminal.read(), 30)
    terminal.press("q")
    assert terminal.end() == 0


@pytest.mark.parametrize("terminal", ["3600"], indirect=True)
def test_the_live_view_is_drawn_anew_when_the_terminals_size_changes(terminal: Terminal) -> None:
    """At once, not with the next look, which would be in an hour."""
    wait_until(lambda: b"12.5 reviews/s" in terminal.read(), 30)
    terminal.resize(9, 44)
    wait_until(lambda: len(_lines(terminal.read())) == 9, 30)
    lines = _lines(terminal.read())
    assert max(map(len, lines)) <= 44
    assert any("Jobs (3)" in line for line in lines)
    terminal.press("q")
    assert terminal.end() == 0


def _lines(screen: bytes) -> list[str]:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode(errors="replace"))
    return plain.replace("\r", "").rstrip("\n").split("\n")


def many(jobs: int, workers: int, queues: int) -> Snapshot:
    def job(number: int) -> ActiveJob:
        state = ("score", "running", 1, f"a-model-with-a-long-name-{number}@12", {}, "normal")
        counts = (1_000_000, 123_456 + number, 0, number, 1_000)
        status = JobStatus(number, *state, *counts, None, NOW, NOW - timedelta(hours=2), None)
        return ActiveJob(status, 123_456 + number, 1_000_000, "reviews")

    def worker(number: int) -> LiveWorker:
        models = [{"model": "\x1b[2Jno@1", "precision": "int8"}, {"model": "wide-中文-名@2", "precision": "float32"}]
        about = ("box", number, f"gpu{number}@box", ["score"], "cpu", models, "0.1.0")
        return LiveWorker(f"box:{number}", *about, 10.0 * number, 0.5, NOW, NOW - timedelta(seconds=3))

    return Snapshot(
        at=NOW,
        counts={"running": jobs, "pending": 5} if jobs else {},
        jobs=[job(number) for number in range(1, jobs + 1)],
        workers=[worker(number) for number in range(workers)],
        held={"box:0": [HeldChunk(1, 7), HeldChunk(2, 8)]},
        queues=[Queue("score", "normal", 10, 0, 3, 75.0) for _ in range(queues)],
    )


def drawn(snapshot: Snapshot, width: int, height: int | None, note: str = "") -> list[str]:
    console = Console(width=width, height=height or 1_000, file=io.StringIO(), record=True)
    console.print(frame(headline(snapshot), sections(snapshot, Rates()), width, height, note))
    return console.export_text().rstrip("\n").split("\n")


@pytest.mark.parametrize("size", [(0, 0, 0), (1, 1, 1), (3, 40, 2), (60, 3, 6), (60, 60, 6)])
def test_a_frame_fits_any_terminal(size: tuple[int, int, int]) -> None:
    snapshot = many(*size)
    for width in (10, 25, 40, 60, 80, 100, 132, 200):
        for height in (1, 2, 5, 9, 12, 16, 24, 50, 200):
            lines = drawn(snapshot, width, height, "the database is away" if height % 2 else "")
            assert len(lines) <= height, (width, height)
            assert max(map(_cells, lines)) <= width, (width, height)
            assert not any("\x1b[2J" in line for line in lines)


def _cells(line: str) -> int:
    return cell_len(line.rstrip())


def test_what_there_is_no_room_for_is_counted_and_the_most_important_is_shown() -> None:
    lines = drawn(many(60, 40, 3), 100, 30)
    assert len(lines) == 30
    shown = "\n".join(lines)
    assert "Jobs (65)" in shown
    jobs = [line for line in lines if "/1,000,000" in line]
    assert f"and {65 - len(jobs)} more" in shown
    # The workers that do the most come first.
    assert shown.index("gpu39@box") < shown.index("gpu38@box")
    assert len(jobs) > 8
    # Where it is narrow, columns go; what a job has done stays to the last.
    assert any("123,457/1,000,000" in line for line in drawn(many(3, 1, 1), 30, 24))


def test_the_pace_of_a_job_is_that_of_lately_and_its_mean_before() -> None:
    rates, first = Rates(), many(1, 0, 0)
    rates.note(first)
    assert rates.of(first.jobs[0], first) == pytest.approx(123_457 / 7_200)
    later = many(1, 0, 0)
    (job,) = later.jobs
    later = Snapshot(
        NOW + timedelta(seconds=10), later.counts, [ActiveJob(job.status, job.done + 500, 1, "x")], [], {}, []
    )
    rates.note(later)
    assert rates.of(later.jobs[0], later) == pytest.approx(50.0)


def test_spans_are_told_as_clocks_tell_them() -> None:
    assert [span(one) for one in (-1, 7, 754, 11_045)] == ["0:00", "0:07", "12:34", "3:04:05"]
