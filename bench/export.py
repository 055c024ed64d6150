"""Exports: rows a second of each format from SQLite, by a command that has one core, and its memory as rows grow."""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import Spread, spread
from db.checkpoint import CheckpointFacts
from db.database import Database
from db.jobs import NewJob, create_job
from db.registry import register_model
from db.schema import upgrade

Say = Callable[[str], None]

METHOD = (
    "A SQLite file with one model's predictions of reviews of 60 to 260 characters, which have two kept columns each. "
    "`reviewmill results --format F -o FILE` as a process with one core, its start included: rows by its seconds from "
    "start to end, and by those that the processor worked for it, which others on the machine hardly lengthen; and its "
    "peak resident memory, which must not grow with the rows."
)
_FORMATS = ("csv", "jsonl", "parquet")
_ROWS = 10_000_000
_MIB = 1024
#: Of one INSERT, so that a transaction's log stays small.
_STEP = 500_000

_REVIEWS = """
    INSERT INTO reviews (id, source, external_id, text, text_hash, metadata, created_at)
    SELECT value, 'reviews.csv', 'r' || value,
        'Review ' || value || ': it came "quickly", and the colour is' || char(10) || 'right - '
            || iif(value % 16, 'été. ', '👍. ')
            || substr('Broke after a week, though nobody answers my mails; I would not order it here again, and told '
                || 'them so. It is a kettle. It boils water. My daughter loves it and so does the cat, who sleeps on '
                || 'it.', 1, value * 7919 % 200),
        printf('%064x', value), printf('{"brand": "b%d", "stars": %d}', value % 500, 1 + value % 5),
        '2026-11-01 00:00:00.000000'
    FROM numbers
"""
_PREDICTIONS = """
    INSERT INTO predictions
        (review_id, model_id, job_id, label, score, margin, probabilities, tokens, truncated, scored_at)
    SELECT value, :model, :job, iif(p < 0.5, 'negative', 'positive'), max(p, 1 - p), abs(2 * p - 1),
        printf('{"negative": %.16g, "positive": %.16g}', 1 - p, p), 20 + value % 90, 0,
        strftime('%Y-%m-%d %H:%M:%f', '2026-11-01', printf('+%.3f seconds', value / 150.0)) || '000'
    FROM (SELECT value, value * 2654435761 % 1000003 / 1000003.0 AS p FROM numbers)
"""
#: SQLite's own table function of that kind is not in every build.
_NUMBERS = """
    WITH RECURSIVE numbers (value) AS
        (SELECT :first UNION ALL SELECT value + 1 FROM numbers WHERE value < :last)
"""


def run_export(folder: Path, _model: Path, options: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The record of the part."""
    rows = options.reviews or _ROWS
    sizes = (rows // 10, rows)
    homes = {size: _filled(folder / f"export-{size}", size, say) for size in sizes}
    formats = [_measured(format_, homes, options.rounds, say) for format_ in _FORMATS]
    return {"part": "export", "method": METHOD, "rows": rows, "formats": formats}


def export_table(record: dict[str, Any]) -> Table:
    """A line for each format."""
    few, many = f"{record['rows'] // 10:,}", f"{record['rows']:,}"
    table = Table(
        "format",
        "rows/s",
        "a CPU second",
        "file, MiB",
        f"peak MiB, {few}",
        f"peak MiB, {many}",
        title="exports, one core",
    )
    for one in record["formats"]:
        paces = [str(Spread(**one[name])) for name in ("rows_per_second", "rows_per_cpu_second")]
        table.add_row(
            one["format"], *paces, *(f"{one[name]:,.0f}" for name in ("file_mib", "small_peak_mib", "peak_mib"))
        )
    return table


def fill(path: Path, rows: int) -> None:
    """Make a SQLite database of ours with so many predictions."""
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    labels = CheckpointFacts("bert", ("negative", "positive"), "single_label_classification", 512, "0" * 64)
    with database.write() as connection:
        model = register_model(connection, "sentiment", Path("/models/sentiment"), labels, kind="directory")
        job, _ = create_job(connection, NewJob("score", {}, [], model_id=model.id))
    for first in range(1, rows + 1, _STEP):
        values = {"first": first, "last": min(rows, first + _STEP - 1), "model": model.id, "job": job}
        with database.write() as connection:
            for statement in (_REVIEWS, _PREDICTIONS):
                connection.exec_driver_sql(_NUMBERS + statement, values)
    database.close()


def _filled(home: Path, rows: int, say: Say) -> Path:
    path = home / "reviewmill.db"
    if not path.exists():
        home.mkdir(parents=True)
        began = time.perf_counter()
        fill(path, rows)
        say(f"  {rows:,} predictions stored in {time.perf_counter() - began:.0f} s")
    return home


def _measured(format_: str, homes: dict[int, Path], rounds: int, say: Say) -> dict[str, Any]:
    small, rows = sorted(homes)
    _, _, small_peak = _export(homes[small], format_)
    runs = [_export(homes[rows], format_) for _ in range(rounds)]
    pace = spread([rows / seconds for seconds, _, _ in runs])
    cpu_pace = spread([rows / cpu_s for _, cpu_s, _ in runs])
    say(f"  {format_}: {pace.median:,.0f} rows/s, {cpu_pace.median:,.0f} a second of the processor")
    return {
        "format": format_,
        "rows_per_second": asdict(pace),
        "rows_per_cpu_second": asdict(cpu_pace),
        "file_mib": _file(homes[rows], format_).stat().st_size / 2**20,
        "small_peak_mib": small_peak,
        "peak_mib": max(peak for *_, peak in runs),
    }


def _export(home: Path, format_: str) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and peak MiB of the command."""
    command = [sys.executable, "-m", "cli.main", "results", "--format", format_, "-o", str(_file(home, format_))]
    began = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, "REVIEWMILL_HOME": str(home)}, preexec_fn=_take_one_core)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / _MIB


def _file(home: Path, format_: str) -> Path:
    return home / f"out.{format_}"


def _take_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
