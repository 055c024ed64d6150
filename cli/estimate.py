"""`reviewmill estimate`: what scoring a source would come to, before anything is enqueued."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from broker.app import QUEUES
from broker.settings import BrokerSettings
from cli.columns import columns_options
from cli.output import answers, json_option, notes, print_json, share, tell
from cli.reading import reading_options
from db.database import Database
from db.registry import RegisteredModel
from db.schema import open_database
from db.workers import live_workers
from producer.checkpoints import find_or_add_model
from producer.estimate import SAMPLE_ROWS, Estimate, estimate_scoring
from producer.reviews_request import ReviewsRequest, find_reviews
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Source
from worker.devices import device_name, find_devices
from worker.settings import WorkerSettings

#: Digits that an extrapolated number is told with: more would promise what the first rows cannot know.
_DIGITS = 2


@click.command("estimate")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@columns_options
@click.option("--model", metavar="M", help="NAME, NAME@VERSION, NAME@ALIAS, a hub id or a directory.")
@reading_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Estimate for the first N rows only.")
@click.option(
    "--sample", type=click.IntRange(min=1), default=SAMPLE_ROWS, show_default=True, metavar="N", help="Rows to read."
)
@json_option
def command(model: str | None, limit: int | None, sample: int, as_json: bool, **asked: Any) -> None:
    """Tell from the first rows of SOURCE what scoring it would come to; nothing is stored or enqueued."""
    reviews, columns = find_reviews(ReviewsRequest(**asked), tell)
    database = open_database()
    chosen = find_or_add_model(database, model)
    estimate = make_estimate(database, reviews, columns, chosen, limit=limit, sample_rows=sample)
    if as_json:
        print_json(_document(estimate))
    else:
        show_estimate(estimate, answers)


def make_estimate(
    database: Database, source: Source, columns: Columns, model: RegisteredModel, **options: Any
) -> Estimate:
    """The estimate of scoring a source on the workers that are alive, or on those that a stack would start here."""
    devices = _devices(database)
    with notes.status("Reading the first rows"):
        return estimate_scoring(database, source, columns, model, ProducerSettings(), devices=devices, **options)


def show_estimate(estimate: Estimate, console: Console) -> None:
    """Print an estimate, one fact a line."""
    console.print(_heading(estimate), markup=False, soft_wrap=True)
    for name, value in _facts(estimate):
        console.print(f"  {name:15} {value}", markup=False, soft_wrap=True)


def _devices(database: Database) -> list[str]:
    """The devices, by their names among all machines, whose workers score now, in order."""
    with database.read() as connection:
        alive = sorted({one.device for one in live_workers(connection) if QUEUES["score"] in one.queues})
    if alive or not BrokerSettings().is_embedded:
        return alive
    # The stack that `score` starts has the devices of this machine.
    ours = WorkerSettings()
    return [device_name(device.name) for device in find_devices(ours.devices, ours.processes)]


def _heading(estimate: Estimate) -> str:
    read = estimate.sample.rows
    return f"{estimate.source}, by {f'all its {read:,}' if estimate.is_whole else f'the first {read:,} of its'} rows"


def _facts(estimate: Estimate) -> Iterable[tuple[str, str]]:
    sample, good = estimate.sample, estimate.sample.rows - estimate.sample.bad
    yield "rows", _number(estimate, sample.rows) if estimate.rows is not None else "unknown: only reading it all tells"
    if sample.bad:
        yield "bad rows", share(sample.bad / sample.rows)
    yield "tokens", _tokens(estimate, good)
    if good:
        yield "truncated", _truncated(estimate, good)
        beyond = "" if estimate.is_whole else "; more may beyond these rows"
        yield "duplicates", f"{share(sample.repeats / good)} repeat a text{beyond}"
        yield "already scored", f"{share(sample.known / (sample.known + sample.new))} of the texts, by {estimate.model}"
    yield "to score", _number(estimate, sample.new)
    yield "duration", _duration(estimate)


def _number(estimate: Estimate, of_sample: int | None) -> str:
    number = estimate.of_all(of_sample)
    if number is None:
        return f"{of_sample:,} of the sample" if of_sample is not None else "unknown"
    is_exact = estimate.is_whole or (estimate.is_exact and of_sample == estimate.sample.rows)
    return f"{number:,}" if is_exact else f"about {_rounded(number):,}"


def _tokens(estimate: Estimate, good: int) -> str:
    tokens = estimate.sample.tokens
    if tokens is None:
        return f"unknown: {estimate.model} has no tokenizer.json"
    return _number(estimate, tokens) + (f", {tokens / good:,.1f} a review" if good else "")


def _truncated(estimate: Estimate, good: int) -> str:
    if estimate.sample.truncated is None:
        return "unknown"
    return f"{share(estimate.sample.truncated / good)} are longer than the {estimate.max_tokens:,} tokens that are read"


def _duration(estimate: Estimate) -> str:
    if not estimate.devices:
        return "unknown: no worker is alive; start one with `reviewmill worker`"
    unmeasured = ", ".join(device for device in estimate.devices if device not in estimate.speeds)
    if estimate.seconds is None:
        if estimate.speeds:
            return f"unknown, like the {'rows' if estimate.rows is None else 'tokens'}"
        return (
            f"unknown: {estimate.model} has not been measured on {unmeasured} yet; "
            "`score --limit 5000` measures it, and those rows are then reused"
        )
    words = f"{_span(*estimate.seconds)} of computing on {', '.join(estimate.speeds) or unmeasured}"
    return words + (f"; less with {unmeasured}, not measured yet" if unmeasured and estimate.speeds else "")


def _span(shortest: float, longest: float) -> str:
    low, high = _time(shortest), _time(longest)
    return f"about {low}" if low == high else f"{low} to {high}"


def _time(seconds: float) -> str:
    for unit, length_s in (("days", 86_400), ("hours", 3_600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{_rounded(seconds / length_s):g} {unit}"
    return f"{_rounded(seconds):g} s"


def _rounded(number: float) -> Any:
    """The number to two digits; whole where it was."""
    return type(number)(float(f"{number:.{_DIGITS}g}"))


def _document(estimate: Estimate) -> dict[str, Any]:
    """Everything as numbers: of the sample as counted, of the whole as far as it is known."""
    sample = estimate.sample
    whole = {name: estimate.of_all(getattr(sample, name)) for name in ("tokens", "new", "new_tokens")}
    return {
        "source": estimate.source,
        "model": estimate.model,
        "rows": estimate.rows,
        "rows_are_exact": estimate.is_exact,
        "tokens": whole["tokens"],
        "to_score": whole["new"],
        "tokens_to_score": whole["new_tokens"],
        "seconds": estimate.seconds,
        "devices": estimate.devices,
        "tokens_per_second": {device: asdict(speed) for device, speed in estimate.speeds.items()},
        "sample": asdict(sample),
    }
