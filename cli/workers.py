"""`reviewmill workers`: who is alive, and what each is doing."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from importlib.metadata import version

import click

from cli.output import json_option, notes, print_json, print_table, share
from db.clock import database_time
from db.schema import open_database
from db.workers import DEAD_AFTER_S, HeldChunk, LiveWorker, held_chunks, live_workers

_NUMBERS = ("job/chunk", "reviews/s", "busy", "up")


@click.command("workers")
@json_option
def command(as_json: bool) -> None:
    """List the worker processes that are alive: on what device, at which chunk, how fast and how busy.

    Reviews a second and the busy share of the device are of the last minute. A version is shown where it is not this
    one. The models are those in memory.
    """
    with open_database().read() as connection:
        workers, held, now = live_workers(connection), held_chunks(connection), database_time(connection)
    if as_json:
        print_json([_document(worker, held.get(worker.owner, [])) for worker in workers])
    elif not workers:
        notes.print(f"No worker was heard of for {DEAD_AFTER_S:.0f} s; start one with: reviewmill worker")
    else:
        _print(workers, held, now)


def _print(workers: Sequence[LiveWorker], held: dict[str, list[HeldChunk]], now: datetime) -> None:
    ours = version("reviewmill")
    # All of one version, ours, is no news.
    versions = ["version"] if any(worker.version != ours for worker in workers) else []
    columns = ("device", "queues", "engine", *_NUMBERS, *versions, "models")
    rows = [_row(worker, held.get(worker.owner, []), now - worker.started_at, versions) for worker in workers]
    print_table(columns, rows, numbers=_NUMBERS)


def _row(worker: LiveWorker, held: Sequence[HeldChunk], up: timedelta, versions: Sequence[str]) -> tuple[object, ...]:
    numbers = (_chunks(held), f"{worker.reviews_per_s:,.1f}", share(worker.busy), _duration(up))
    models = ", ".join(f"{one['model']} {one['precision']}" for one in worker.models)
    shown_versions = [worker.version] if versions else []
    return (worker.device, "+".join(worker.queues), worker.engine, *numbers, *shown_versions, models)


def _document(worker: LiveWorker, held: Sequence[HeldChunk]) -> dict[str, object]:
    return {**asdict(worker), "chunks": [chunk._asdict() for chunk in held]}


def _chunks(held: Sequence[HeldChunk]) -> str:
    """The first that it holds, and how many more: small ones are held together by the hundred."""
    if not held:
        return ""
    first, more = held[0], len(held) - 1
    return f"{first.job_id}/{first.chunk_id}" + (f" +{more}" if more else "")


def _duration(time: timedelta) -> str:
    """As in `40 s`, `12 min`, `5 h` and `3 d`."""
    seconds = max(0, int(time.total_seconds()))
    units = ((86_400, "d"), (3_600, "h"), (60, "min"))
    return next((f"{seconds // size} {unit}" for size, unit in units if seconds >= size), f"{seconds} s")
