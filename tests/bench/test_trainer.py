"""The leg against the Trainer: that it does the task it is given, where it is installed, and what is told of it."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.__main__ import PEERS
from bench.finetuning import OURS, TRAINER, finetune_table, make_finetune_record
from bench.peer import ask_trainer
from bench.report import print_record

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / "distilbert"
GOOD = ["A wonderful film.", "wonderful", "a wonderful price", "wonderful screen"]
BAD = ["terrible", "a terrible film", "terrible price", "the screen is terrible"]


@pytest.mark.skipif(not PEERS.exists(), reason="the peers are not installed; `make bench` installs them")
@pytest.mark.long
def test_the_trainer_trains_as_it_is_told_and_is_measured_on_what_is_held_out(tmp_path: Path) -> None:
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
        "bfloat16": False,
    }
    told = ask_trainer(PEERS, task, tmp_path)
    assert told["steps"] == 3 * 20
    assert told["accuracy"] == pytest.approx(5 / 6)
    assert told["training_s"] > 0


def _measured(training_s: float, accuracy: float) -> dict[str, float]:
    return {"training_s": training_s, "whole_s": training_s + 10.0, "accuracy": accuracy, "peak_mib": 1_000.0}


def test_times_are_the_trainers_seconds_over_ours_round_by_round() -> None:
    rounds = {
        OURS: [_measured(10.0, 0.8), _measured(40.0, 0.9)],
        TRAINER: [_measured(15.0, 0.85), _measured(50.0, 0.7)],
    }
    record = make_finetune_record(rounds, {"train": 6_000, "held_out": 1_720}, {})
    assert record["times_trainer"]["training_s"] == {"median": 1.375, "low": 1.25, "high": 1.5}
    assert record["times_trainer"]["whole_s"]["low"] == 1.2
    console = Console(width=200, record=True, file=StringIO())
    print_record(record, finetune_table(record), console)
    said = console.export_text()
    assert "6,000 reviews, 1,720 held out" in said
    ours, trainer = (next(line for line in said.splitlines() if name in line) for name in (OURS, TRAINER))
    assert "1.38 (1.25-1.50)" in ours
    assert "85.0% (80.0%-90.0%)" in ours
    assert "1.38" not in trainer


def test_without_the_peers_ours_is_told_alone() -> None:
    record = make_finetune_record({OURS: [_measured(10.0, 0.8)]}, {"train": 1, "held_out": 1}, {TRAINER: "not here"})
    assert record["times_trainer"] == {}
    console = Console(width=200, record=True, file=StringIO())
    print_record(record, finetune_table(record), console)
    assert f"skipped: {TRAINER}: not here" in console.export_text()
