"""Tables for people, and the files in bench/results."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Spread

RESULTS = Path(__file__).parent / "results"


def make_table(record: dict[str, Any]) -> Table:
    """One table for a data set; `times X` is how many times as fast as X, padding and peak are shares."""
    rivals = list(dict.fromkeys(group for one in record["contestants"] for group in one["times"]))
    table = Table(title=f"{record['data_set']}: medians (smallest-largest)")
    table.add_column("")
    for name in ("reviews/s", "tokens/s", *(f"times {rival}" for rival in rivals)):
        table.add_column(name, justify="right")
    for name in ("padding", "of float32 peak", "of int8 peak", "peak MiB", "first result, s"):
        table.add_column(name, justify="right")
    for one in record["contestants"]:
        table.add_row(*_row(one, rivals))
    return table


def print_record(record: dict[str, Any], table: Table, console: Console) -> None:
    """Print the table, and a line for each that did not run."""
    console.print(table)
    for name, reason in record.get("skipped", {}).items():
        console.print(f"skipped: {name}: {reason}", markup=False, soft_wrap=True)


def write_record(record: dict[str, Any], name: str, folder: Path = RESULTS) -> Path:
    """Write it to NAME.json."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path


def _row(one: dict[str, Any], rivals: list[str]) -> list[str]:
    times = [_spread(one["times"].get(rival)) for rival in rivals]
    shares = [_percent(one["share_of_peak"].get(name)) for name in ("float32", "int8")]
    return [
        one["name"],
        _spread(one["reviews_per_second"]),
        f"{one['tokens_per_second']['median']:,.0f}",
        *times,
        _percent(one["padding_share"]),
        *shares,
        f"{one['peak_mib']:,.0f}",
        _spread(one["first_result_s"]),
    ]


def _spread(values: dict[str, float] | None) -> str:
    return str(Spread(**values)) if values else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
