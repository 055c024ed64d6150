"""The options of `reviewmill results`: which go together, and the filter that they come to."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from sqlalchemy import Connection

from db.bounds import read_bound
from db.failures import FailureFilter
from db.kept import read_condition
from db.registry import find_model
from db.result_filters import ResultFilter

Command = TypeVar("Command", bound=Callable[..., Any])
_PROBABILITY = click.FloatRange(0, 1)
_COUNT = click.IntRange(min=1)


def _each(read: Callable[[str], Any]) -> Callable[..., tuple[Any, ...]]:
    return lambda _context, _option, written: tuple(map(read, written))


def _in_utc(_context: click.Context, _option: click.Parameter, moment: datetime | None) -> datetime | None:
    # A naive time given by a person is a local one.
    return moment.astimezone(UTC) if moment else None


_NARROWING = (
    click.option("--job", type=_COUNT, metavar="ID", help="Reviews of this job."),
    click.option("--model", metavar="M", help="NAME, NAME@VERSION or NAME@ALIAS."),
    click.option("--label", metavar="L", help="Reviews that got this label, the surest first."),
    click.option("--min-probability", type=_PROBABILITY, metavar="P", help="Lowest probability of the label given."),
    click.option("--max-probability", type=_PROBABILITY, metavar="P", help="Highest probability of the label given."),
    click.option(
        "--probability",
        "probabilities",
        multiple=True,
        callback=_each(read_bound),
        metavar="COND",
        help="Only reviews with LABEL>=P, whatever label they got; also >, <= and <. Repeatable.",
    ),
    click.option("--uncertain", type=_COUNT, metavar="N", help="The N least certain, least first."),
    click.option(
        "--text",
        multiple=True,
        metavar="WORDS",
        help="Only reviews that hold these words as they stand, in large letters or small ones. Repeatable.",
    ),
    click.option("--source", metavar="S", help="Reviews of this source."),
    click.option(
        "--where",
        multiple=True,
        callback=_each(read_condition),
        metavar="COND",
        help="Only reviews with COL=VALUE, in a column kept with `score --keep`; also !=, <, <=, > and >=. Repeatable.",
    ),
    click.option(
        "--since", type=click.DateTime(), callback=_in_utc, metavar="T", help="Scored at this local time or after."
    ),
    click.option(
        "--until", type=click.DateTime(), callback=_in_utc, metavar="T", help="Scored before this local time."
    ),
    click.option("--disagree", nargs=2, metavar="A B", help="Reviews of which these two models say different things."),
    click.option(
        "--revisions",
        type=click.Choice(["current", "all"]),
        help="Of a review whose text has changed the newest text alone, or all; current, but all with --job.",
    ),
    click.option("--failures", is_flag=True, help="The rows that got no result instead, and why."),
)
_SHAPING = (
    click.option("--sort", metavar="KEY", help="id, external-id, score, margin, tokens or scored-at; -KEY goes down."),
    click.option("--limit", type=_COUNT, metavar="N", help="N at most."),
    click.option("--after", metavar="CURSOR", help="The page that follows the one that ended with this cursor."),
    click.option("--count", is_flag=True, help="Only how many there are."),
    click.option(
        "--group-by",
        multiple=True,
        metavar="KEYS",
        help="How many there are by label, source, model, day, week, month or metadata.COL; several with ','.",
    ),
)

#: What an option does not go with, and why.
_APART: dict[str, tuple[str, tuple[str, ...]]] = {
    "failures": (
        "a row without a result has no prediction to ask about",
        (
            "model",
            "label",
            "min_probability",
            "max_probability",
            "probabilities",
            "uncertain",
            "text",
            "source",
            "where",
            "disagree",
            "revisions",
            "sort",
            "group_by",
        ),
    ),
    "count": ("all that pass are counted", ("group_by", "uncertain", "sort", "limit", "after")),
    "group_by": ("groups are of all that pass", ("uncertain", "after")),
}
_WRITTEN = {"probabilities": "probability"}


def result_options(command: Command) -> Command:
    """Give a command the options that say which results, in which order and how many."""
    for option in reversed((*_NARROWING, *_SHAPING)):
        command = option(command)
    return command


def check_together(given: Mapping[str, Any]) -> None:
    """Raise UsageError for options that do not go together."""
    for name, (why, others) in _APART.items():
        for other in others if given[name] else ():
            if given[other] not in (None, ()):
                raise click.UsageError(f"{_option(other)} does not go with {_option(name)}: {why}")


def result_filter(connection: Connection, given: Mapping[str, Any]) -> ResultFilter:
    """The filter that the options come to, without their limit. Raises UnknownModel."""
    disagree = tuple(find_model(connection, reference).id for reference in given["disagree"] or ()) or None
    revisions = given["revisions"] or ("current" if given["job"] is None else "all")
    same = ("label", "min_probability", "max_probability", "probabilities", "since", "until", "text", "source", "where")
    return ResultFilter(
        job_id=given["job"],
        model_id=find_model(connection, given["model"]).id if given["model"] else None,
        disagree=disagree,  # type: ignore[arg-type]
        current=revisions == "current",
        uncertain=given["uncertain"],
        sort=given["sort"],
        after=given["after"],
        **{field: given[field] for field in same},
    )


def failure_filter(given: Mapping[str, Any]) -> FailureFilter:
    """The filter of failures that the options come to."""
    return FailureFilter(given["job"], given["since"], given["until"], given["limit"], given["after"])


def _option(name: str) -> str:
    return "--" + _WRITTEN.get(name, name).replace("_", "-")
