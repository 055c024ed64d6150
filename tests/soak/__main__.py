"""`make soak`: two workers under work and trouble for twenty minutes; fails if anything grows or is lost.

A stream of small jobs runs beside a large one, a schedule fires each minute, workers are killed and paused at random.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from sqlalchemy import Connection, select

from bench.machine import describe_machine
from bench.report import RESULTS, write_record
from db.jobs import FINAL_STATES
from db.tables import Job, ScheduleRun
from producer import Client
from tests.faults.slow import make_slow_checkpoint
from tests.samples import CHECKPOINTS
from tests.soak.acts import Act, play
from tests.soak.books import what_is_wrong
from tests.soak.load import SCHEDULE, Load
from tests.soak.mill import Mill, run_mill
from tests.soak.trouble import Trouble
from tests.soak.verdict import Measure, of_connections, of_latencies, of_memory, of_redis, table_of
from tests.soak.watch import Watch

#: From this share of the time on, kills leave the first worker alone.
_SPARED_FROM = 0.25
#: What is left when the load ends must be done within this time.
_DRAIN_S = 900.0
_LOOK_S = 2.0

console = Console(width=None if sys.stdout.isatty() else 140)


def main() -> int:
    """Run it; return 1 if a bound was missed."""
    options = _options()
    # The producer's own words would come between the lines.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    console.print(f"{options.minutes:g} minutes, seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="reviewmill-soak-") as folder, run_mill(Path(folder)) as mill:
        load, trouble, watch = _run(mill, options)
        with mill.database.read() as connection:
            wrong = what_is_wrong(connection, load)
            measures = [*_measures(connection, load, trouble, watch), Measure("discrepancies", None, len(wrong), 0.0)]
        record = _record(options, measures, wrong, load, trouble, watch)
        missed = [one.name for one in measures if not one.holds]
        if missed:
            (options.folder / "soak.log").write_text(mill.logs())
    console.print(table_of(measures, f"soak: {options.minutes:g} minutes, seed {options.seed}, {dict(trouble.done)}"))
    for line in wrong:
        console.print(line, markup=False)
    console.print(f"written: {write_record(record, f'{options.record}-soak', options.folder).name}")
    console.print(f"missed: {', '.join(missed)}" if missed else "all bounds held", markup=False)
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="at least 4, or none grows old (default: 20)")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of work and trouble, played again")
    parser.add_argument("--record", default="local", help="the file is RECORD-soak.json (default: local)")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where it is written")
    return parser.parse_args()


def _run(mill: Mill, options: argparse.Namespace) -> tuple[Load, Trouble, Watch]:
    seconds, began = options.minutes * 60, time.monotonic()
    spare_from = began + seconds * _SPARED_FROM
    randoms = random.Random(options.seed)
    models = make_slow_checkpoint(mill.folder / "slow"), CHECKPOINTS / "bert"
    watch = Watch(mill)
    with Client() as client:
        load = Load(mill, client, *models, random.Random(randoms.random()))
        trouble = Trouble(mill, random.Random(randoms.random()), lambda: time.monotonic() > spare_from)
        load.add_schedule()
        work = [load.small_jobs(), load.large_jobs(), load.rows()]
        play([*work, trouble.kills(), trouble.pauses(), watch.look(), _tell(load, trouble, began)], seconds)
        _drain(load, trouble, watch)
    return load, trouble, watch


def _drain(load: Load, trouble: Trouble, watch: Watch) -> None:
    """Let all end that was begun, and then the rows that came after the schedule's last minute."""
    trouble.end()
    load.mill.command("schedule", "pause", SCHEDULE)
    # Where it never ends, the books say so.
    if _is_over_in_time(load.mill, watch):
        load.append()
        load.mill.command("schedule", "run", SCHEDULE)
    watch.look_once()


def _is_over_in_time(mill: Mill, watch: Watch) -> bool:
    open_jobs = select(Job.id).where(Job.state.not_in(FINAL_STATES))
    open_runs = select(ScheduleRun.id).where(ScheduleRun.state == "running")
    deadline = time.monotonic() + _DRAIN_S
    while time.monotonic() < deadline:
        watch.look_once()
        with mill.database.read() as connection:
            if not connection.scalars(open_jobs).all() and not connection.scalars(open_runs).all():
                return True
        time.sleep(_LOOK_S)
    return False


def _tell(load: Load, trouble: Trouble, began: float) -> Act:
    """A line a minute."""
    while True:
        yield 60.0
        jobs = f"{len(load.small)} small jobs, {len(load.large)} large"
        console.print(f"{(time.monotonic() - began) / 60:4.0f} min: {jobs}; {dict(trouble.done)}", markup=False)


def _measures(connection: Connection, load: Load, trouble: Trouble, watch: Watch) -> Iterator[Measure]:
    yield from of_memory(watch.memory)
    yield from of_redis(watch.redis)
    yield from of_connections(watch.connections)
    yield from of_latencies("small jobs, from commit to end", _latencies(connection, load.small))


def _latencies(connection: Connection, job_ids: Sequence[int]) -> list[float]:
    times = select(Job.created_at, Job.finished_at).where(Job.id.in_(job_ids), Job.finished_at.is_not(None))
    return [(row.finished_at - row.created_at).total_seconds() for row in connection.execute(times)]


def _record(
    options: argparse.Namespace,
    measures: Sequence[Measure],
    wrong: Sequence[str],
    load: Load,
    trouble: Trouble,
    watch: Watch,
) -> dict[str, Any]:
    return {
        "part": "soak",
        "method": __doc__,
        "minutes": options.minutes,
        "seed": options.seed,
        "trouble": dict(trouble.done),
        "jobs": {"small": len(load.small), "large": len(load.large)},
        "reviews": dict(load.asked),
        "measures": [{**asdict(one), "holds": one.holds} for one in measures],
        "discrepancies": list(wrong),
        "own_memory_mib": {name: series.thinned() for name, series in watch.memory.items()},
        "pss_mib": {name: series.thinned() for name, series in watch.pss.items()},
        "machine": describe_machine(),
    }


if __name__ == "__main__":
    sys.exit(main())
