"""Fine-tuning MiniLM on Rotten Tomatoes, beside the transformers Trainer on PyTorch: the same task, in turn."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.figures import Spread, ratio, spread
from bench.ours import Mill
from bench.peer import ask_trainer
from producer.checkpoints import minilm_directory
from producer.sources import Record, open_source
from worker.cpu import cpu_flags, cpu_vendor, multiplies_faster_in_bfloat16

Say = Callable[[str], None]
Measured = dict[str, float]

METHOD = (
    "One epoch on the first reviews of demo:rotten_tomatoes:train, and the accuracy on demo:rotten_tomatoes:test, in "
    "turn, another seed each round. All: MiniLM with a new head, the batch size and the longest length given here, "
    "AdamW with a weight decay of 0.01, gradients clipped at 1, a learning rate of 5e-5 that warms up over a tenth of "
    "the steps and then falls linearly, batches padded to their longest, all cores. Ours is the command `reviewmill "
    "finetune` on a stack that is up. The Trainer as it comes has its defaults for all else: its fused AdamW, batches "
    "drawn at random, float32. Tuned it groups by length, and computes in bfloat16 where that is faster here. "
    "training_s: of the steps alone, with what is traced or compiled. whole_s: of the command, and of the Trainer's "
    "process, with start, loading, saving and the evaluation."
)
REVIEWS = 6_000
OURS = "reviewmill finetune"
TUNED, AS_IT_COMES = "transformers Trainer, tuned", "transformers Trainer, as it comes"
_BATCH_SIZE, _MAX_LENGTH, _LEARNING_RATE = 32, 128, 5e-5
_TIMED = ("training_s", "whole_s")
_FIGURES = (*_TIMED, "accuracy", "peak_mib")


@dataclass(frozen=True, slots=True)
class FineTuning:
    """The task: labelled reviews to train on and to be measured on, as (text, label)."""

    folder: Path
    peers: Path
    train: list[tuple[str, str]]
    held_out: list[tuple[str, str]]

    def ours(self, seed: int) -> Measured:
        """Reviewmill's figures."""
        mill = Mill(
            self.folder / "finetune", minilm_directory(), {"REVIEWMILL_DATABASE_URL": "", "REVIEWMILL_REDIS_URL": ""}
        )
        train, held_out = (self._write(name) for name in ("train", "held_out"))
        options = {
            "--text": "text",
            "--label": "label",
            "--test": held_out,
            "--validation-split": 0,
            "--name": "bench",
            "--base": "minilm",
            "--epochs": 1,
            "--batch-size": _BATCH_SIZE,
            "--max-length": _MAX_LENGTH,
            "--learning-rate": _LEARNING_RATE,
            "--seed": seed,
        }
        told, whole_s = mill.finetune(str(train), *(str(word) for option in options.items() for word in option))
        metrics = told["metrics"]
        return {
            "training_s": metrics["training_seconds"],
            "whole_s": whole_s,
            "accuracy": metrics["test_accuracy"],
            "peak_mib": told["peak_mib"],
        }

    def trainer(self, seed: int) -> Measured:
        """The Trainer's figures, with its defaults for what is not of the task. Raises Skipped where it fails."""
        return self._trained(seed, sampling="random", bfloat16=False)

    def tuned_trainer(self, seed: int) -> Measured:
        """Those with what a person sets who knows the Trainer and the processor. Raises Skipped where it fails."""
        faster = multiplies_faster_in_bfloat16(cpu_flags(), cpu_vendor())
        return self._trained(seed, sampling="group_by_length", bfloat16=faster)

    def _trained(self, seed: int, **choices: object) -> Measured:
        task = {
            "model": str(minilm_directory()),
            "folder": str(self.folder / "trainer"),
            "train": self.train,
            "held_out": self.held_out,
            "batch_size": _BATCH_SIZE,
            "max_length": _MAX_LENGTH,
            "learning_rate": _LEARNING_RATE,
            "epochs": 1,
            "seed": seed,
            **choices,
        }
        began = time.perf_counter()
        told = ask_trainer(self.peers, task, self.folder)
        return {**told, "whole_s": time.perf_counter() - began}

    def _write(self, part: str) -> Path:
        path = self.folder / f"{part}.jsonl"
        rows = (json.dumps({"text": text, "label": label}) for text, label in getattr(self, part))
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        return path


def run_finetune(folder: Path, _model: Path, options: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The record of the part."""
    count = options.reviews or REVIEWS
    task = FineTuning(folder, options.peers, _labelled("train", count), _labelled("test", count))
    sides = {OURS: task.ours, TUNED: task.tuned_trainer, AS_IT_COMES: task.trainer}
    skipped = {}
    if not options.peers.exists():
        sides = {OURS: task.ours}
        skipped = dict.fromkeys((TUNED, AS_IT_COMES), "the peers are not installed; `make bench` installs them")
    rounds: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(options.rounds):
        for name in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            rounds[name].append(sides[name](number))
            say(f"  round {number + 1}: {name}: {_words(rounds[name][-1])}")
    return make_finetune_record(rounds, {"train": len(task.train), "held_out": len(task.held_out)}, skipped)


def make_finetune_record(
    rounds: dict[str, list[Measured]], examples: dict[str, int], skipped: dict[str, str]
) -> dict[str, Any]:
    """Medians, and beside each Trainer how many times as fast as it ours is, round by round."""
    contestants = []
    for name, measured in rounds.items():
        figures = {key: asdict(spread([one[key] for one in measured])) for key in _FIGURES}
        times = {key: asdict(_times(key, measured, rounds[OURS])) for key in _TIMED if name != OURS}
        contestants.append({"name": name, **figures, "ours_times": times, "rounds": measured})
    record = {"part": "finetune", "method": METHOD, "batch_size": _BATCH_SIZE, "max_length": _MAX_LENGTH}
    return record | {"examples": examples, "contestants": contestants, "skipped": skipped}


def finetune_table(record: dict[str, Any]) -> Table:
    """A line for each side; `ours` is how many times as fast as it ours is."""
    examples = record["examples"]
    title = f"one epoch of MiniLM, {examples['train']:,} reviews, {examples['held_out']:,} held out"
    table = Table("", "training, s", "ours", "whole, s", "ours", "held-out accuracy", "MiB", title=title)
    for one in record["contestants"]:
        figures = {key: Spread(**one[key]) for key in _FIGURES}
        times = one["ours_times"]
        training, whole = (str(Spread(**times[key])) if key in times else "" for key in _TIMED)
        accuracy = f"{figures['accuracy'].median:.1%} ({figures['accuracy'].low:.1%}-{figures['accuracy'].high:.1%})"
        row = [one["name"], str(figures["training_s"]), training, str(figures["whole_s"]), whole, accuracy]
        table.add_row(*row, f"{figures['peak_mib'].median:,.0f}")
    return table


def _times(key: str, theirs: list[Measured], ours: list[Measured]) -> Spread:
    return ratio([one[key] for one in theirs], [one[key] for one in ours])


def _labelled(split: str, count: int) -> list[tuple[str, str]]:
    records = (one for one in open_source(f"demo:rotten_tomatoes:{split}").records() if isinstance(one, Record))
    labels = {str(one.values["text"]): str(one.values["label"]) for one in records}
    return list(islice(labels.items(), count))


def _words(measured: Measured) -> str:
    return ", ".join(f"{name} {measured[name]:,.4g}" for name in _FIGURES)
