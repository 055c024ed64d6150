"""Two models beside each other, in words and as a document."""

from dataclasses import asdict, dataclass
from typing import Any

from cli.output import print_table, say, share
from db.comparison import Accuracies, Comparison
from db.jobs import JobStatus


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two models, and how the job went that scored the reviews with it.

    `computing_pace` is in reviews a second of the time that devices computed; None where every answer was reused.
    """

    model: str
    job: JobStatus
    outcome: dict[str, Any]
    computing_pace: float | None


def document(comparison: Comparison, first: Side, second: Side, seen: int) -> dict[str, Any]:
    """The comparison as `--json` prints it; `seen` reviews with labels were left out for having been trained on."""
    accuracies = comparison.accuracies
    return {
        "reviews": comparison.reviews,
        "agreement": comparison.agreement,
        "flips": [
            {"first": one, "second": other, "reviews": count} for (one, other), count in comparison.flips.items()
        ],
        "mean_difference": comparison.mean_difference,
        "accuracy": accuracies and _accuracy(accuracies),
        "mean_absolute_error": comparison.errors and asdict(comparison.errors),
        "trained_on": seen,
        "first": _side(first),
        "second": _side(second),
    }


def show_comparison(comparison: Comparison, first: Side, second: Side, seen: int) -> None:
    """Print the comparison for a person."""
    say(f"{first.model} and {second.model} on {comparison.reviews:,} reviews that both have scored")
    if comparison.agreement is not None:
        say(
            f"They agree on {share(comparison.agreement)}; the probability of {first.model}'s label differs by "
            f"{comparison.mean_difference:.4f} on average"
        )
    elif comparison.mean_difference is not None:
        say(f"Their values differ by {comparison.mean_difference:.4f} on average")
    _show_flips(comparison, first, second)
    _show_right(comparison, first, second, seen)
    _show_speed(first, second)


def _show_flips(comparison: Comparison, first: Side, second: Side) -> None:
    if comparison.flips:
        say("")
        rows = [(one, other, f"{count:,}") for (one, other), count in comparison.flips.items()]
        print_table((first.model, second.model, "reviews"), rows, numbers=("reviews",))
        say("Each of them, by SQL: docs/models.md")


def _show_right(comparison: Comparison, first: Side, second: Side, seen: int) -> None:
    right, errors = comparison.accuracies, comparison.errors
    if right:
        say(
            f"\nOf {right.reviews:,} labelled reviews {first.model} is right on {share(right.first)} and "
            f"{second.model} on {share(right.second)}; only the first on {right.only_first_right:,}, "
            f"only the second on {right.only_second_right:,}: p = {right.p:.2g} (McNemar's exact test)"
        )
    elif errors:
        say(
            f"\nOn {errors.reviews:,} labelled reviews {first.model} is off by {errors.first:.4f} on average, and "
            f"{second.model} by {errors.second:.4f}"
        )
    if seen:
        say(f"Not counted: {seen:,} labelled reviews that one of them was trained on")


def _show_speed(first: Side, second: Side) -> None:
    say("")
    columns = ("model", "job", "reviews/s", "computing alone", "reused")
    print_table(columns, [_speed(side) for side in (first, second)], numbers=columns[1:])


def _speed(side: Side) -> tuple[str, ...]:
    pace = side.outcome["reviews_per_second"]
    paces = ("" if one is None else f"{one:,.2f}" for one in (pace, side.computing_pace))
    return (side.model, str(side.job.id), *paces, f"{side.job.reused:,} of {side.job.total:,}")


def _accuracy(accuracies: Accuracies) -> dict[str, Any]:
    shares = {"reviews": accuracies.reviews, "first": accuracies.first, "second": accuracies.second}
    return {**shares, **asdict(accuracies), "mcnemar_p": accuracies.p}


def _side(side: Side) -> dict[str, Any]:
    return {"model": side.model, **side.outcome, "computing_reviews_per_second": side.computing_pace}
