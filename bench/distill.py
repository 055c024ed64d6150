"""A student of half the layers beside its teacher: how often each is right, and how fast each is."""

import argparse
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from bench.figures import Spread, ratio, spread
from bench.ours import Mill, Scored, in_float32
from producer.sources import Record, open_source

Say = Callable[[str], None]

METHOD = (
    "IMDb reviews, no text twice. The teacher is MiniLM, of six layers, fine-tuned for one epoch on labelled ones. The "
    "student starts from three of the teacher's layers, and learns what it says of other reviews, without their "
    "labels, in two epochs at temperature 2. Training reads 192 tokens of a review, the teacher at a rate of 1e-4 and "
    "the student at 2e-4; scoring reads 256. Accuracy and agreement are of held-out reviews, all rounds together. The "
    "pace is that of scoring them in float32 on a warm stack, teacher and student in turn, other reviews each round, "
    "commit of a job to its last result's."
)
_STUDENTS_LAYERS = 3
_WARM_UP = 100
#: Those whose pace is measured.
_JUDGED = ("teacher", "student")
_REVIEWS = 500
_TRAINING = ("--text", "text", "--max-length", "192", "--dropout", "0", "--json")
#: Held-out reviews are scored like any other instead.
_NOTHING_HELD_OUT = ("--validation-split", "0", "--test-split", "0")


class Labelled(NamedTuple):
    """A review, and its right label."""

    text: str
    label: str


class School(Mill):
    """A home in which models are made."""

    def train(self, source: Path, name: str, *options: str) -> dict[str, Any]:
        """Fine-tune on a file; what `finetune --json` says of the version."""
        return self._run("finetune", str(source), "--name", name, *_TRAINING, *_NOTHING_HELD_OUT, *options)


class Judge(Mill):
    """A home in which one model scores, and what it says is kept."""

    def judge(self, texts: list[str], warm_up: list[str]) -> tuple[Scored, list[str]]:
        """What scoring took, and the label of each text."""
        scored = self.score(texts, warm_up)
        query = "SELECT text, label FROM predictions JOIN reviews ON reviews.id = review_id"
        with sqlite3.connect(self.home / "reviewmill.db") as connection:
            said = dict(connection.execute(query).fetchall())
        return scored, [said[text] for text in texts]


def run_distill(folder: Path, model: Path, options: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The record of the part."""
    counts = [*map(int, options.taught.split(",")), options.rounds * (options.reviews or _REVIEWS), _WARM_UP]
    reviews = iter(_reviews(sum(counts)))
    told, untold, held_out, warm_up = (list(islice(reviews, count)) for count in counts)
    made = _made(School(folder / "school", model, in_float32(folder)), told, untold, say)
    paces, said = _judged(folder, made, held_out, [one.text for one in warm_up], options.rounds, say)
    right = [one.label for one in held_out]
    entries = [
        _entry(name, made[name], _alike(said[name], right)) | {"reviews_per_second": asdict(spread(paces[name]))}
        for name in _JUDGED
    ]
    return {
        "part": "distill",
        "method": METHOD,
        "labelled": len(told),
        "unlabelled": len(untold),
        "held_out": len(held_out),
        "agreement": _alike(said["student"], said["teacher"]),
        "times": asdict(ratio(paces["student"], paces["teacher"])),
        "models": entries,
    }


def distill_table(record: dict[str, Any]) -> Table:
    """A line for each model."""
    title = f"distillation: the student agrees with its teacher on {record['agreement']:.1%} of {record['held_out']:,}"
    table = Table("", "layers", "MiB", "right", "reviews/s", "trained, s", title=title)
    for one in record["models"]:
        pace = Spread(**one["reviews_per_second"])
        table.add_row(
            one["name"],
            str(one["layers"]),
            f"{one['mib']:.0f}",
            f"{one['accuracy']:.1%}",
            str(pace),
            f"{one['trained_s']:,.0f}",
        )
    return table


def _made(school: School, told: Sequence[Labelled], untold: Sequence[Labelled], say: Say) -> dict[str, dict[str, Any]]:
    """What was said of each model that was made, by its name."""
    school.home.mkdir(parents=True, exist_ok=True)
    labelled = _write(school.home / "told.jsonl", [one._asdict() for one in told])
    unlabelled = _write(school.home / "untold.jsonl", [{"text": one.text} for one in untold])
    of_teacher = ("--teacher", "teacher", "--layers", str(_STUDENTS_LAYERS), "--epochs", "2")
    with school.stack():
        made = {"teacher": school.train(labelled, "teacher", "--label", "label", "--learning-rate", "1e-4")}
        made["student"] = school.train(unlabelled, "student", *of_teacher, "--learning-rate", "2e-4")
    for name, one in made.items():
        say(f"  {name}: trained in {one['seconds']:,.0f} s")
    return made


def _judged(
    folder: Path,
    made: dict[str, dict[str, Any]],
    held_out: Sequence[Labelled],
    warm_up: list[str],
    rounds: int,
    say: Say,
) -> tuple[dict[str, list[float]], dict[str, list[str]]]:
    """By model, the reviews a second of each round, and the label of each held-out review."""
    judges = {name: Judge(folder / f"judge-{name}", Path(made[name]["path"]), in_float32(folder)) for name in _JUDGED}
    paces: dict[str, list[float]] = {name: [] for name in _JUDGED}
    said: dict[str, list[str]] = {name: [] for name in _JUDGED}
    size = len(held_out) // rounds
    for number in range(rounds):
        texts = [one.text for one in held_out[number * size : (number + 1) * size]]
        for name in _JUDGED if number % 2 == 0 else _JUDGED[::-1]:
            # Once known, a text is not scored again, not even to warm up.
            scored, answers = judges[name].judge(texts, warm_up[number::rounds])
            paces[name].append(scored.reviews / scored.seconds)
            said[name] += answers
            say(f"  round {number + 1}: {name}: {paces[name][-1]:,.1f} reviews/s")
    return paces, said


def _entry(name: str, made: dict[str, Any], accuracy: float) -> dict[str, Any]:
    directory = Path(made["path"])
    return {
        "name": name,
        "layers": json.loads((directory / "config.json").read_text())["num_hidden_layers"],
        "mib": (directory / "model.safetensors").stat().st_size / 2**20,
        "accuracy": accuracy,
        "trained_s": made["seconds"],
    }


def _alike(some: Sequence[str], others: Sequence[str]) -> float:
    return sum(one == other for one, other in zip(some, others, strict=True)) / len(some)


def _reviews(count: int) -> list[Labelled]:
    """So many different ones, in the order of the source, which is by chance."""
    records = (one for one in open_source("demo:imdb").records() if isinstance(one, Record))
    different = {str(record.values["text"]): str(record.values["label"]) for record in records}
    return [Labelled(text, label) for text, label in islice(different.items(), count)]


def _write(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
