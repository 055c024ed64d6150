"""The parts beside the comparison: jobs of 1k, 10k and 100k reviews, one worker and two, and those of other files."""

import argparse
import os
from collections.abc import Callable
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.around import around_table, run_around
from bench.data import load_data_set
from bench.distill import distill_table, run_distill
from bench.figures import spread
from bench.finetuning import finetune_table, run_finetune
from bench.ours import Mill, in_float32
from bench.pinned import PinnedMill
from bench.questions import questions_table, run_questions

Say = Callable[[str], None]

#: A checkpoint so small that a job's cost is that of everything around the engine.
_TINY = Path(__file__).parents[1] / "tests" / "checkpoints" / "distilbert"
_WARM_UP = 200
_SIZES_METHOD = (
    "One job of each size in a database of its own, on a stack that is warm; short reviews, each made unlike any other "
    "by a number, and a model of two small layers, so that what is around the engine is most of the cost. Seconds from "
    "the job's commit to its last result's commit, and those of the whole command, with reading and storing."
)
_WORKERS_METHOD = (
    "The same reviews in chunks of 50, scored in float32 by one worker on one core and by two workers on a core each, "
    "in turn, other reviews each round. The command and the database use what the workers leave."
)


def run_scaling(part: str, folder: Path, model: Path, options: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The record of one part."""
    return PARTS[part](folder, model, options, say)


def sizes_table(record: dict[str, Any]) -> Table:
    """Milliseconds a review, by the size of the job."""
    table = Table(
        "reviews", "seconds", "ms a review", "ms a review, whole command", "peak MiB", title="cost per review"
    )
    for one in record["jobs"]:
        count = one["reviews"]
        costs = [f"{1000 * one[name] / count:.3f}" for name in ("seconds", "command_s")]
        table.add_row(f"{count:,}", f"{one['seconds']:.2f}", *costs, f"{one['peak_mib']:,.0f}")
    return table


def workers_table(record: dict[str, Any]) -> Table:
    """Reviews a second, by the number of workers."""
    table = Table("workers", "reviews/s", "times one worker", title="workers")
    for one in record["workers"]:
        pace, times = one["reviews_per_second"], one["times_one_worker"]
        table.add_row(str(one["count"]), f"{pace['median']:,.1f}", f"{times['median']:.2f}")
    return table


def _sizes(folder: Path, _model: Path, options: argparse.Namespace, say: Say) -> dict[str, Any]:
    short = load_data_set("rotten_tomatoes", 5_000, 1, folder / "model").rounds[0].texts
    jobs = []
    for size in map(int, options.sizes.split(",")):
        texts = [f"{text} ({number})" for number, text in enumerate(islice(cycle(short), size + _WARM_UP))]
        mill = Mill(folder / f"size-{size}", _TINY, in_float32(folder))
        scored = mill.score(texts[_WARM_UP:], texts[:_WARM_UP])
        say(f"  {size:,} reviews: {1000 * scored.seconds / size:.3f} ms each")
        jobs.append(asdict(scored))
    return {"part": "sizes", "method": _SIZES_METHOD, "jobs": jobs}


def _workers(folder: Path, model: Path, options: argparse.Namespace, say: Say) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))
    counts = [count for count in (1, 2) if count <= len(cores)]
    data = load_data_set("rotten_tomatoes", options.reviews or 400, options.rounds, model)
    paces: dict[int, list[float]] = {count: [] for count in counts}
    for number, reviews in enumerate(data.rounds):
        warm_up = data.warm_up[number * _WARM_UP : (number + 1) * _WARM_UP]
        for count in counts if number % 2 == 0 else counts[::-1]:
            mill = PinnedMill(folder / f"workers-{count}", model, in_float32(folder, CHUNK_SIZE="50"), cores[:count])
            scored = mill.score(reviews.texts, warm_up)
            paces[count].append(scored.reviews / scored.seconds)
            say(f"  round {number + 1}: workers: {count}: {paces[count][-1]:,.1f} reviews/s")
    return {"part": "workers", "method": _WORKERS_METHOD, "workers": [_paced(n, paces) for n in counts]}


def _paced(count: int, paces: dict[int, list[float]]) -> dict[str, Any]:
    times = [a / b for a, b in zip(paces[count], paces[1], strict=True)]
    pace = asdict(spread(paces[count]))
    return {"count": count, "reviews_per_second": pace, "times_one_worker": asdict(spread(times))}


PARTS: dict[str, Callable[[Path, Path, argparse.Namespace, Say], dict[str, Any]]] = {
    "sizes": _sizes,
    "workers": _workers,
    "around": run_around,
    "finetune": run_finetune,
    "distill": run_distill,
    "questions": run_questions,
}
TABLES = {
    "sizes": sizes_table,
    "workers": workers_table,
    "around": around_table,
    "finetune": finetune_table,
    "distill": distill_table,
    "questions": questions_table,
}
