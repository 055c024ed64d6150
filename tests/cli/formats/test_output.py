"""`results` on a real terminal, into pipes, and into files that are whole or not there."""

import csv
import fcntl
import io
import json
import os
import pty
import re
import resource
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyarrow import parquet

from bench.export import fill
from db.database import Database
from db.jobs import NewJob, create_job
from db.predictions import Scored, store_predictions
from db.registry import register_model
from db.reviews import store_reviews
from db.schema import open_database
from tests.samples import SomeReview, facts, verdict

Run = Callable[..., subprocess.CompletedProcess[str]]
RESULTS = [sys.executable, "-m", "cli.main", "results"]
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
ORDERS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
TEXTS = ("=1+1", "a long 日本語の text with 👍 " * 9, "\x1b]0;owned\x07\x1b[2J gone", 'quotes "here"\nand there')
MANY = 150_000
#: Bytes of the largest file that a process may write.
_LIMIT = 200_000


def store(database: Database) -> None:
    with database.write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), facts(), kind="directory")
        reviews = [SomeReview(f"r{n}", text, None, {"n": n, "at": 1e-9}) for n, text in enumerate(TEXTS)]
        ids = store_reviews(connection, "f.csv", reviews)
        job_id, _ = create_job(connection, NewJob("score", {}, [ids], model_id=model.id))
        store_predictions(connection, model.id, [Scored(id_, job_id, verdict(1 / 3)) for id_ in ids])


@pytest.fixture
def predictions() -> None:
    store(open_database())


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with so many predictions that writing them takes a while."""
    home = tmp_path_factory.mktemp("many")
    fill(home / "reviewmill.db", MANY)
    return home


def environment(home: Path | None = None, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**kept, "TERM": "xterm-256color", **({"REVIEWMILL_HOME": str(home)} if home else {}), **more}


def on_terminal(
    *arguments: object, width: int = 70, stream: str = "stdout", home: Path | None = None, **more: str
) -> str:
    """What `results ARGUMENTS` shows on a terminal that is so many characters wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    others = "stderr" if stream == "stdout" else "stdout"
    streams = {stream: theirs, others: subprocess.DEVNULL}
    process = subprocess.Popen([*RESULTS, *map(str, arguments)], env=environment(home, **more), **streams)  # type: ignore[call-overload]
    os.close(theirs)
    shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    process.wait(timeout=60)
    return shown.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # how a terminal says that nobody writes to it any more
        return b""


@pytest.mark.parametrize("width", [40, 70, 120])
def test_a_table_fits_the_terminal(predictions: None, width: int) -> None:
    from rich.cells import cell_len

    lines = ORDERS.sub("", on_terminal(width=width)).replace("\r", "").splitlines()
    assert len(lines) == len(TEXTS) + 1
    assert max(map(cell_len, lines)) <= width
    assert any("…" in line for line in lines)
    assert lines[0].split() == ["id", "label", "score", "model", "text"]


def test_there_is_colour_on_a_terminal_only(predictions: None, tmp_path: Path) -> None:
    assert COLOUR.search(on_terminal())
    assert not COLOUR.search(on_terminal(NO_COLOR="1"))
    piped = subprocess.run(RESULTS, env=environment(FORCE_COLOR="1"), capture_output=True, text=True, check=True)
    assert "\x1b" not in piped.stdout
    on_terminal("-o", tmp_path / "table.txt", FORCE_COLOR="1")
    assert "\x1b" not in (tmp_path / "table.txt").read_text()
    assert (tmp_path / "table.txt").read_text().split()[:5] == ["id", "label", "score", "model", "text"]


def test_a_review_gives_the_terminal_no_orders(predictions: None) -> None:
    shown = on_terminal(width=120)
    assert "\x1b]0;" not in shown
    assert "\x1b[2J" not in shown
    assert "�]0;owned" in shown


def test_documents_are_not_coloured_on_a_terminal(predictions: None) -> None:
    shown = on_terminal("--json", width=40)
    assert [one["text"] for one in json.loads(shown)] == list(TEXTS)


def test_bytes_are_not_written_to_a_terminal(predictions: None, run: Run) -> None:
    assert on_terminal("--format", "parquet") == ""
    told = on_terminal("--format", "parquet", stream="stderr")
    assert "PAR1" not in told
    piped = subprocess.run([*RESULTS, "--format", "parquet"], env=environment(), capture_output=True, check=True)
    assert parquet.read_table(io.BytesIO(piped.stdout))["text"].to_pylist() == list(TEXTS)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_format_says_the_same_of_both_databases(
    request: pytest.FixtureRequest, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "postgresql":
        monkeypatch.setenv("REVIEWMILL_DATABASE_URL", request.getfixturevalue("postgresql_url"))
    store(open_database())
    for name in ("a.csv", "raw.csv", "a.json", "a.jsonl", "a.parquet"):
        done = run("results", "-o", tmp_path / name, *(["--raw-csv"] if name == "raw.csv" else []))
        assert (done.returncode, done.stdout) == (0, "")
        assert f"4 predictions written to {tmp_path / name} as {name.partition('.')[2]}" in done.stderr
    whole = json.loads((tmp_path / "a.json").read_text())
    assert [one["text"] for one in whole] == list(TEXTS)
    assert whole[2]["metadata"] == {"n": 2, "at": 1e-9}
    assert whole[0]["probabilities"] == {"negative": 1 - 1 / 3, "positive": 1 / 3}
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == whole
    typed = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    for one in typed:
        one.update(scored_at=one["scored_at"].isoformat(), metadata=json.loads(one["metadata"]))
    assert typed == whole
    with (tmp_path / "a.csv").open(newline="") as guarded, (tmp_path / "raw.csv").open(newline="") as raw:
        rows, raw_rows = list(csv.DictReader(guarded)), list(csv.DictReader(raw))
    assert [row["text"] for row in rows] == ["'=1+1", *TEXTS[1:]]
    assert [row["text"] for row in raw_rows] == list(TEXTS)
    for row, one in zip(rows, whole, strict=True):
        assert float(row["score"]) == one["score"]
        assert json.loads(row["probabilities"]) == one["probabilities"]


@pytest.mark.parametrize("place", ["nowhere/out.csv", "file/out.csv", f"{'n' * 300}.csv", "folder.csv"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_asked(
    predictions: None, run: Run, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    done = run("results", "-o", tmp_path / place, "--label", "a label that no model gives")
    assert done.returncode == 2
    assert str(tmp_path / place) in done.stderr.replace("\n", "")
    assert "label" not in done.stderr.replace(str(tmp_path), "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "out.xls"], "the ending '.xls' tells no format"),
        (["--raw-csv", "--format", "json"], "--raw-csv is about csv, and this is json"),
        (["--format", "xml"], "'xml' is not one of 'table', 'json', 'jsonl', 'csv', 'parquet'"),
        (["-o", "out.csv", "--job", "99"], "there is no job 99"),
    ],
)
def test_what_makes_no_sense_is_told_and_leaves_nothing(
    predictions: None, run: Run, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = run("results", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not list(tmp_path.glob("*out*"))


def test_a_file_keeps_its_permissions_and_its_link(predictions: None, run: Run, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "real.csv").chmod(0o600)
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert run("results", "-o", tmp_path / "link.csv").returncode == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("review_id,")
    assert (tmp_path / "real.csv").stat().st_mode & 0o777 == 0o600


def test_what_is_no_file_is_written_to_and_not_replaced(predictions: None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen([*RESULTS, "--format", "jsonl", "-o", str(tmp_path / "pipe")], env=environment())
    assert len((tmp_path / "pipe").read_text().splitlines()) == len(TEXTS)
    assert process.wait(timeout=60) == 0
    assert (tmp_path / "pipe").is_fifo()


def test_a_disk_that_is_full_leaves_the_old_file(many: Path, tmp_path: Path) -> None:
    for name in ("out.jsonl", "out.parquet"):
        (tmp_path / name).write_text("old")
        process = subprocess.run(
            [*RESULTS, "-o", str(tmp_path / name)],
            env=environment(many),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, _LIMIT)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 2, process
        assert "cannot be written: File too large" in process.stderr
        assert "Traceback" not in process.stderr
        assert (tmp_path / name).read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "out.parquet"]


@pytest.mark.parametrize("name", ["out.json", "out.parquet"])
def test_ctrl_c_leaves_the_old_file(many: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).write_text("old")
    process = subprocess.Popen(
        [*RESULTS, "-o", str(folder / name)],
        env=environment(many),
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have it ignored, which is handed down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > 3 for path in _partials(folder)) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told.strip()) == (130, "Stopped.")
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "old"


def _partials(folder: Path) -> Iterator[Path]:
    return folder.glob(".*.partial")


def test_a_bar_is_shown_to_somebody_who_waits(many: Path, tmp_path: Path) -> None:
    shown = ORDERS.sub("", on_terminal("-o", tmp_path / "out.csv", stream="stderr", home=many))
    assert "Writing" in shown
    assert f"{MANY}/{MANY}" in shown
    assert f"{MANY:,} predictions written to" in re.sub(r"\s+", " ", shown)
    assert len((tmp_path / "out.csv").read_bytes().split(b"\r\n")) == MANY + 2
    assert "Writing" not in on_terminal("--format", "csv", "--limit", 3, stream="stderr", home=many)


def test_no_bar_is_written_where_nobody_looks(many: Path, tmp_path: Path) -> None:
    command = [*RESULTS, "-o", str(tmp_path / "out.csv")]
    quiet = subprocess.run(command, env=environment(many), capture_output=True, text=True, check=True)
    assert quiet.stdout == ""
    assert quiet.stderr == f"150,000 predictions written to {tmp_path / 'out.csv'} as csv\n"


def test_memory_does_not_grow_with_the_rows(many: Path, tmp_path: Path) -> None:
    def peak_kib(rows: int) -> int:
        command = [*RESULTS, "-o", str(tmp_path / "out.jsonl"), "--limit", str(rows)]
        process = subprocess.Popen(command, env=environment(many), stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss

    assert peak_kib(MANY) < peak_kib(MANY // 3) + 10_000
