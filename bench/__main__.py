"""`python -m bench`: everyone on the same reviews, and what grows with the work. See docs/benchmarks.md."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.contestants import Absent, Contestant, Field
from bench.data import DATA_SETS, load_data_set
from bench.machine import describe_machine, gpus
from bench.model import make_model
from bench.peer import peers_versions
from bench.record import make_record
from bench.report import make_table, open_console, print_record, write_record
from bench.rounds import run_rounds
from bench.scaling import PARTS, TABLES, run_scaling

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
GPU = "gpu"

console = open_console()


def main() -> None:
    """Run the parts that are asked for, each with its table and its file."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = (options.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        machine = {**describe_machine(), "peers": peers_versions(options.peers), "peak": _peak()}
        model = make_model(folder / "model")
        for part in options.only or [*DATA_SETS, *PARTS, GPU]:
            for name, record in _run(part, folder, model, options, machine["peak"]):
                print_record(record, TABLES.get(name, make_table)(record), console)
                path = write_record({**record, "machine": machine}, f"{options.record}-{name}")
                console.print(f"written: {path.relative_to(ROOT)}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parts = [*DATA_SETS, *PARTS, GPU]
    parser.add_argument("--only", action="append", choices=parts, help="this part; may be given again (default: all)")
    parser.add_argument("--contestants", default="", help="those with one of these in their names: int8,pipeline")
    parser.add_argument(
        "--reviews", type=int, help=f"reviews a round (default: {DATA_SETS}; of `questions` in all: 10 million)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the pipeline in a round (default: 20)")
    parser.add_argument("--sizes", default="1000,10000,100000", help="of the jobs whose cost is compared")
    parser.add_argument(
        "--taught", default="1600,1600", help="reviews a teacher learns from, and those its student does"
    )
    parser.add_argument("--sentences", type=int, default=100_000, help="enqueued and scored by the null engine")
    parser.add_argument("--peers", type=Path, default=PEERS, help="interpreter of the peers' environment")
    parser.add_argument("--folder", type=Path, help="keep model, graphs and databases here (default: thrown away)")
    parser.add_argument("--record", default="local", help="the files are named RECORD-PART.json (default: local)")
    return parser.parse_args()


def _run(
    part: str, folder: Path, model: Path, options: argparse.Namespace, peak: dict[str, Any]
) -> list[tuple[str, dict[str, Any]]]:
    if part in PARTS:
        return [(part, run_scaling(part, folder, model, options, console.print))]
    if part != GPU:
        return [(part, _compare(part, folder, Field(folder, model, options.peers, options.seconds), options, peak))]
    if not gpus():
        console.print("skipped: the GPU leg: there is no NVIDIA GPU here\n")
        return []
    there = Field(folder / GPU, model, options.peers, options.seconds, device="cuda")
    there.folder.mkdir(exist_ok=True)
    return [(f"{GPU}-{name}", _compare(name, folder, there, options, {})) for name in DATA_SETS]


def _compare(
    name: str, folder: Path, there: Field, options: argparse.Namespace, peak: dict[str, Any]
) -> dict[str, Any]:
    data = load_data_set(name, options.reviews or DATA_SETS[name], options.rounds, folder / "model")
    wanted = options.contestants.split(",")
    field = [one for one in there.contestants(data) if any(part in one.name for part in wanted)]
    runners = [one for one in field if isinstance(one, Contestant)]
    absent = [one for one in field if isinstance(one, Absent)]
    console.print(f"{name}: {options.rounds} rounds of {len(data.rounds[0].texts):,} reviews")
    results, failed = run_rounds(runners, data.rounds, console.print)
    record = make_record(name, runners, results, [*absent, *failed], peak.get("operations_per_second", {}))
    return {**record, "reviews_a_round": len(data.rounds[0].texts)}


def _peak() -> dict[str, Any]:
    ended = subprocess.run([sys.executable, "-m", "bench.peak"], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(ended.stdout))


if __name__ == "__main__":
    main()
