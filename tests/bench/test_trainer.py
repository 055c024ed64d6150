"""The leg against the Trainer: that it does the task it is given, where it is installed, and what is told of it."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.__main__ import PEERS
from bench.finetuning import AS_IT_COMES, OURS, TUNED, finetune_table, make_finetune_record
from bench.peer import ask_trainer
from bench.report import print_record

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "distilbert"
GOOD = ["A wonderful film.", "wonderful", "a wonderful price", "wonderful screen"]
BAD = ["terrible", "a terrible film", "terrible price", "the screen is terrible"]


@pytest.mark.skipif(not PEERS.exists(), reason="the peers are not installed; `make bench` installs them")
@pytest.mark.long
@pytest.mark.parametrize("sampling", ["random", "group_by_length"])
def test_the_trainer_trains_as_it_is_told_and_is_measured_on_what_is_held_out(tmp_path: Path, sampling: str) -> None:
    rows = [(text, "good") for text in GOOD] + [(text, "bad") for text in BAD]
    # From short to long, and the Trainer goes the other way: answers held against another's label would be wrong.
    # The last is held out under the wrong label.
    good = [(text, "good") for text in ("wonderful", "wonderful screen")]
    bad = [(text, "bad") for text in ("terrible price", "a terrible film", "the screen is terrible", GOOD[0])]
    held_out = [*good, *bad]
    task: dict[str, Any] = {
        "model": str(CHECKPOINT),
        "folder": str(tmp_path / "trainer"),
        "train": rows,
        "held_out": held_out,
        "batch_size": 3,
        "max_length": 16,
        "learning_rate": 5e-3,
        "epochs": 20,
        "seed": 0,
        "sampling": sampling,
        "bfloat16": False,
    }
    told = ask_trainer(PEERS, task, tmp_path)
    assert told["steps"] == 3 * 20
    assert told["accuracy"] == pytest.approx(5 / 6)
    assert told["training_s"] > 0


def _measured(training_s: float, accuracy: float) -> dict[str, float]:
    return {"training_s": training_s, "whole_s": training_s + 10.0, "accuracy": accuracy, "peak_mib": 1_000.0}


def test_times_are_a_trainers_seconds_over_ours_round_by_round() -> None:
    rounds = {
        OURS: [_measured(10.0, 0.8), _measured(40.0, 0.9)],
        TUNED: [_measured(15.0, 0.85), _measured(50.0, 0.7)],
        AS_IT_COMES: [_measured(20.0, 0.8), _measured(80.0, 0.8)],
    }
    record = make_finetune_record(rounds, {"train": 6_000, "held_out": 1_720}, {})
    ours, tuned, as_it_comes = (one["ours_times"] for one in record["contestants"])
    assert ours == {}
    assert tuned["training_s"] == {"median": 1.375, "low": 1.25, "high": 1.5}
    assert tuned["whole_s"]["low"] == 1.2
    assert as_it_comes["training_s"]["median"] == 2.0
    said = _printed(record)
    assert "6,000 reviews, 1,720 held out" in said
    lines = [next(line for line in said.splitlines() if name in line) for name in (OURS, TUNED, AS_IT_COMES)]
    assert "85.0% (80.0%-90.0%)" in lines[0]
    assert ["1.38 (1.25-1.50)" in line for line in lines] == [False, True, False]
    assert "2.00 (2.00-2.00)" in lines[2]


def test_without_the_peers_ours_is_told_alone() -> None:
    record = make_finetune_record({OURS: [_measured(10.0, 0.8)]}, {"train": 1, "held_out": 1}, {TUNED: "not here"})
    assert [one["name"] for one in record["contestants"]] == [OURS]
    assert f"skipped: {TUNED}: not here" in _printed(record)


def _printed(record: dict[str, Any]) -> str:
    console = Console(width=200, record=True, file=StringIO())
    print_record(record, finetune_table(record), console)
    return console.export_text()
