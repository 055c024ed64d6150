"""What every peer is given and what it answers; the standard library alone."""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Answer:
    """What a peer prints, as JSON, on its last line. Times in seconds.

    The clock runs from the first text to the last answer; loading and one batch to warm up come before it.
    `tokens` and `batch_tokens` are of the reviews that were classified, without and with their padding.
    """

    reviews: int
    seconds: float
    first_result_s: float
    load_s: float
    tokens: int
    batch_tokens: int
    threads: int
    peak_mib: float = 0.0
    probabilities: list[dict[str, float]] = field(default_factory=list)


def read_task(**options: type) -> argparse.Namespace:
    """The arguments every peer takes, and those of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", required=True, type=Path, help="a JSON list")
    parser.add_argument("--warm-up", required=True, type=Path, help="a JSON list of other texts")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no batch after so long")
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--probabilities", action="store_true", help="print them too")
    for name, kind in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
    return parser.parse_args()


def read_texts(path: Path) -> list[str]:
    """The texts of a file that the runner wrote."""
    return list(json.loads(path.read_text(encoding="utf-8")))


def cores() -> int:
    """The cores that this process may use; every peer gets as many threads."""
    return len(os.sched_getaffinity(0))


def time_batches(batches: list[list[int]], classify: Callable[[list[int]], Any], seconds: float) -> "Timed":
    """Classify batch by batch until they are done or the time is up; one batch at least."""
    began = time.perf_counter()
    timed = Timed()
    for batch in batches:
        if timed.answers and time.perf_counter() - began > seconds:
            break
        timed.answers.append((batch, classify(batch)))
        timed.seconds = time.perf_counter() - began
        timed.first_result_s = timed.first_result_s or timed.seconds
    return timed


@dataclass(slots=True)
class Timed:
    """The batches that were classified, each with its answers."""

    answers: list[tuple[list[int], Any]] = field(default_factory=list)
    seconds: float = 0.0
    first_result_s: float = 0.0

    @property
    def reviews(self) -> int:
        """How many reviews were classified."""
        return sum(len(batch) for batch, _ in self.answers)

    def tokens(self, lengths: list[int]) -> tuple[int, int]:
        """Tokens of the reviews, and of the batches they were padded to."""
        batches = [[lengths[i] for i in batch] for batch, _ in self.answers]
        return sum(map(sum, batches)), sum(len(batch) * max(batch) for batch in batches)


def print_answer(answer: Answer) -> None:
    """Print the answer with the most memory that this process had."""
    answer.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(answer)))  # noqa: T201
