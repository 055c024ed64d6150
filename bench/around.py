"""What is around an engine: enqueuing a file, and scoring with the null engine, each on one core; a worker's start."""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import spread
from bench.ours import Mill, in_float32
from bench.pinned import PinnedMill
from producer.sources import Record, open_source

Say = Callable[[str], None]

METHOD = (
    "Distinct sentences of 30 to 300 characters, of IMDb and then Rotten Tomatoes. Enqueued: a csv of them, read, "
    "checked, stored in SQLite and committed as a job by a process that has one core, its start aside. Null engine: "
    "one worker on one core scores them with MiniLM's tokenizer and no model, from the job's commit to its last "
    "result's commit; the command that waits has the other core. Start: from the start of a worker's process to the "
    "end of a job of one review that waits, float32 on OpenVINO, the graph built before."
)
_WARM_UP = 200
_SENTENCE_ENDS = re.compile(r"(?<=[.!?]) ")


def run_around(folder: Path, model: Path, options: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The record of the part."""
    texts = list(islice(_sentences(), options.sentences + _WARM_UP))
    warm_up, texts = texts[:_WARM_UP], texts[_WARM_UP:]
    source = _write_csv(folder / "sentences.csv", texts)
    paces: dict[str, list[float]] = {"enqueued_per_second": [], "null_reviews_per_second": [], "start_s": []}
    peaks = []
    for number in range(options.rounds):
        paces["enqueued_per_second"].append(len(texts) / _enqueue(source, folder, model))
        scored = _null_mill(folder, model).score(texts, warm_up)
        paces["null_reviews_per_second"].append(scored.reviews / scored.seconds)
        peaks.append(scored.worker_peak_mib)
        paces["start_s"].append(_start_s(folder, model))
        say(f"  round {number + 1}: " + ", ".join(f"{name} {values[-1]:,.2f}" for name, values in paces.items()))
    figures = {name: asdict(spread(values)) for name, values in paces.items()}
    return {"part": "around", "method": METHOD, "sentences": len(texts), "null_worker_peak_mib": max(peaks), **figures}


def around_table(record: dict[str, Any]) -> Table:
    """A line for each figure."""
    table = Table("", "median", "smallest", "largest", title=f"around the engine, {record['sentences']:,} sentences")
    names = {
        "enqueued_per_second": "rows enqueued/s",
        "null_reviews_per_second": "reviews/s, null engine",
        "start_s": "start of a worker to its first result, s",
    }
    for key, name in names.items():
        one = record[key]
        table.add_row(name, *(f"{one[part]:,.2f}" for part in ("median", "low", "high")))
    return table


def _sentences() -> Iterator[str]:
    seen: set[str] = set()
    for name in ("demo:imdb", "demo:rotten_tomatoes"):
        records = (one for one in open_source(name).records() if isinstance(one, Record))
        for record in records:
            for sentence in _SENTENCE_ENDS.split(str(record.values["text"])):
                if 30 <= len(sentence) <= 300 and sentence not in seen:
                    seen.add(sentence)
                    yield sentence


def _write_csv(path: Path, texts: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        writer.writerows(enumerate(texts))
    return path


def _enqueue(source: Path, folder: Path, model: Path) -> float:
    """Seconds, measured by a process that has one core."""
    database = folder / "enqueued.db"
    for left in folder.glob("enqueued.db*"):
        left.unlink()
    command = [sys.executable, "-m", "bench.enqueue_only", source, database, model]
    ended = subprocess.run(command, preexec_fn=_take_one_core, stdout=subprocess.PIPE, text=True, check=True)
    return float(json.loads(ended.stdout)["seconds"])


def _null_mill(folder: Path, model: Path) -> Mill:
    return PinnedMill(folder / "null", model, in_float32(folder, ENGINE="null"), [min(os.sched_getaffinity(0))])


def _start_s(folder: Path, model: Path) -> float:
    mill = PinnedMill(folder / "start", model, in_float32(folder), [min(os.sched_getaffinity(0))])
    mill.score(["The graph is built for this."], ["And warmed up."])
    return mill.start_s("This one waits for a worker.")


def _take_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
