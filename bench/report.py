"""Tables for people, and the files in bench/results."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Spread

RESULTS = Path(__file__).parent / "results"
_FILE_WIDTH = 200


def make_table(record: dict[str, Any]) -> Table:
    """One table for a data set; `times X` is how many times as fast as X. The shares of the peaks are in per cent."""
    rivals = list(dict.fromkeys(group for one in record["contestants"] for group in one["times"]))
    peaks = list(dict.fromkeys(name for one in record["contestants"] for name in one["share_of_peak"]))
    names = ["reviews/s", "tokens/s", *(f"times {rival}" for rival in rivals), "padding"]
    names += [*(f"of {peak} peak" for peak in peaks), "MiB", "first, s"]
    table = Table(title=f"{record['data_set']}: medians (smallest-largest)")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for one in record["contestants"]:
        table.add_row(*_row(one, rivals, peaks))
    return table


def open_console() -> Console:
    """A terminal as wide as it is; a file as wide as the table."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


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


def _row(one: dict[str, Any], rivals: list[str], peaks: list[str]) -> list[str]:
    return [
        one["name"],
        _spread(one["reviews_per_second"]),
        f"{one['tokens_per_second']['median']:,.0f}",
        *(_spread(one["times"].get(rival)) for rival in rivals),
        f"{one['padding_share']:.0%}",
        *(f"{one['share_of_peak'][peak]:.0%}" for peak in peaks),
        f"{one['peak_mib']:,.0f}",
        _spread(one["first_result_s"]),
    ]


def _spread(values: dict[str, float] | None) -> str:
    return str(Spread(**values)) if values else ""
