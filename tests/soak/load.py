"""The work of a soak: small jobs in a stream, always a large one beside them, and a schedule over a file that grows."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from db.jobs import FINAL_STATES, job_status
from producer import Client
from tests.soak.acts import Act
from tests.soak.mill import Mill

_LARGE_REVIEWS = 10_000
_SMALL_REVIEWS = (1, 40)
_SMALL_EVERY_S = (1.0, 4.0)
_ROWS_EVERY_S = 15.0
#: One small job in so many is of the other model, and one in so many asks again for what was scored.
_OTHER_MODEL, _AGAIN = 3, 5
SCHEDULE = "each-minute"
_WORDS = ("the", "screen", "is", "wonderful", "and", "price", "terrible", "but", "sound", "good", "battery", "bad")


@dataclass(slots=True)
class Load:
    """What was asked for: the jobs, and how many reviews of each model, each review counted once."""

    mill: Mill
    client: Client
    model: Path
    small_model: Path
    random: random.Random
    small: list[int] = field(default_factory=list)
    large: list[int] = field(default_factory=list)
    #: Reviews by the name of their model's folder, and those of them that were asked for once more.
    asked: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    #: Of each small job's file the model and the newest job.
    _files: dict[Path, tuple[Path, int]] = field(default_factory=dict)
    _rows: int = 0

    @property
    def growing(self) -> Path:
        """The file of the schedule."""
        return self.mill.folder / "growing.jsonl"

    def add_schedule(self) -> None:
        """Score what is new in the growing file each minute; each run waits for the one before."""
        self.append()
        columns = ("--text", "body", "--id", "key", "--model", self.model)
        when = ("--cron", "* * * * *", "--overlap", "queue")
        self.mill.command("schedule", "add", SCHEDULE, *when, "--", "score", self.growing, *columns)

    def small_jobs(self) -> Act:
        """A small job every few seconds."""
        while True:
            repeat = self._over() if self._one_in(_AGAIN) else None
            path, model = repeat or self._new_small()
            if repeat:
                self.again[model.name] += _lines(path)
            self.small.append(self._score(path, model))
            self._files[path] = model, self.small[-1]
            yield self.random.uniform(*_SMALL_EVERY_S)

    def large_jobs(self) -> Act:
        """A large job as soon as the one before is over."""
        while True:
            if not self.large or self._is_over(self.large[-1]):
                path = self._write(f"large-{len(self.large)}.jsonl", _LARGE_REVIEWS, (5, 60))
                self.asked[self.model.name] += _LARGE_REVIEWS
                self.large.append(self._score(path, self.model))
            yield 1.0

    def rows(self) -> Act:
        """Rows for the schedule."""
        while True:
            self.append()
            yield _ROWS_EVERY_S

    def append(self) -> None:
        """More rows in the growing file."""
        count = self.random.randint(1, 20)
        with self.growing.open("a") as file:
            file.write("".join(self._lines(count, (3, 40))))
        self.asked[self.model.name] += count

    def _new_small(self) -> tuple[Path, Path]:
        model = self.small_model if self._one_in(_OTHER_MODEL) else self.model
        count = self.random.randint(*_SMALL_REVIEWS)
        self.asked[model.name] += count
        return self._write(f"small-{len(self.small)}.jsonl", count, (3, 60)), model

    def _over(self) -> tuple[Path, Path] | None:
        """What a small job asked for, to be asked for again; it must be over: of two at once, both would score."""
        if not self._files:
            return None
        path, (model, job_id) = self.random.choice(list(self._files.items()))
        return (path, model) if self._is_over(job_id) else None

    def _score(self, path: Path, model: Path) -> int:
        return self.client.score(path, text="body", id="key", name="soak", model=str(model)).id

    def _is_over(self, job_id: int) -> bool:
        with self.mill.database.read() as connection:
            return job_status(connection, job_id).state in FINAL_STATES

    def _write(self, name: str, count: int, words: tuple[int, int]) -> Path:
        path = self.mill.folder / name
        path.write_text("".join(self._lines(count, words)))
        return path

    def _lines(self, count: int, words: tuple[int, int]) -> Iterable[str]:
        for _ in range(count):
            self._rows += 1
            text = " ".join(self.random.choices(_WORDS, k=self.random.randint(*words)))
            # With its number, no text is another's, whose result it would be given.
            yield json.dumps({"key": self._rows, "body": f"{self._rows} {text}"}) + "\n"

    def _one_in(self, count: int) -> bool:
        return self.random.randrange(count) == 0


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())
