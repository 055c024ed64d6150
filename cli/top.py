"""`reviewmill top`: jobs, workers and rates, as they go."""

import signal
import time
from dataclasses import asdict
from types import FrameType
from typing import Any

import click
from rich.console import RenderableType
from rich.live import Live

from cli.dashboard.cells import eta_s, headline, sections
from cli.dashboard.frame import frame
from cli.dashboard.keys import Keys, single_keys
from cli.dashboard.rates import Rates
from cli.dashboard.snapshot import Snapshot, take_snapshot
from cli.output import answers, json_option, print_json
from db.database import Database
from db.errors import DatabaseError
from db.schema import open_database

#: More than fit a terminal.
_MOST_JOBS = 100
#: A key is heard at once; a terminal of another size is seen after so long.
_LOOK_S = 0.2


@click.command("top")
@click.option(
    "--every", type=click.FloatRange(min=0.1, max=3_600), default=1.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Print one frame, and nothing else.")
@json_option
def command(every: float, once: bool, as_json: bool) -> None:
    """Watch jobs, workers and rates as they go, until q or Ctrl-C.

    With --json one document is printed, and nothing else.
    """
    if not (once or as_json or answers.is_terminal):
        raise click.UsageError("standard output is no terminal to be drawn on; ask for one frame: --once, or --json")
    database = open_database()
    if as_json:
        print_json(_document(take_snapshot(database, _MOST_JOBS)))
    elif once:
        answers.print(_View(database).look(None))
    else:
        _watch(database, every)


class _View:
    """The last snapshot, and what is drawn of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rates = Rates()
        self._snapshot: Snapshot | None = None
        self._trouble = ""

    def look(self, height: int | None) -> RenderableType:
        """Ask the database, and draw. Where it is away, what was there last stays, and is said to be old."""
        try:
            self._snapshot = take_snapshot(self._database, _MOST_JOBS)
        except DatabaseError as error:
            if self._snapshot is None:
                raise
            self._trouble = f"As it was, and tried again: {error}"
        else:
            self._trouble = ""
            self._rates.note(self._snapshot)
        return self.draw(height)

    def draw(self, height: int | None) -> RenderableType:
        """Draw what was there last, for the terminal as it is now."""
        assert self._snapshot is not None
        told = sections(self._snapshot, self._rates)
        return frame(headline(self._snapshot), told, answers.width, height, self._trouble)


def _watch(database: Database, every: float) -> None:
    signal.signal(signal.SIGTERM, _leave)
    view = _View(database)
    first = view.look(answers.height)
    try:
        with single_keys() as keys, Live(first, console=answers, screen=True, auto_refresh=False) as live:
            while _waits(live, view, keys, every):
                live.update(view.look(answers.height), refresh=True)
    except KeyboardInterrupt:
        # The way out that people are used to.
        return


def _waits(live: Live, view: _View, keys: Keys, seconds: float) -> bool:
    """Wait for the next look, and draw again where the terminal's size has changed. False where q was pressed."""
    until, size = time.monotonic() + seconds, answers.size
    while (left := until - time.monotonic()) > 0:
        if "q" in keys.wait(min(_LOOK_S, left)).lower():
            return False
        if answers.size != size:
            size = answers.size
            live.update(view.draw(size.height), refresh=True)
    return True


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _document(snapshot: Snapshot) -> dict[str, Any]:
    rates = Rates()
    jobs = [_job(job, rates, snapshot) for job in snapshot.jobs]
    held = {owner: [chunk._asdict() for chunk in chunks] for owner, chunks in snapshot.held.items()}
    return {
        "at": snapshot.at,
        "reviews_per_s": snapshot.reviews_per_s,
        "running": snapshot.counts.get("running", 0),
        "waiting": snapshot.counts.get("pending", 0),
        "jobs": jobs,
        "workers": [{**asdict(one), "chunks": held.get(one.owner, [])} for one in snapshot.workers],
        "queues": [asdict(one) for one in snapshot.queues],
    }


def _job(job: Any, rates: Rates, snapshot: Snapshot) -> dict[str, Any]:
    status, pace = job.status, rates.of(job, snapshot)
    named = {name: getattr(status, name) for name in ("id", "kind", "state", "priority", "model", "failed")}
    return {**named, "done": job.done, "total": job.total, "unit": job.unit, "pace": pace, "eta_s": eta_s(job, pace)}
