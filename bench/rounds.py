"""Rounds in which everyone takes a turn: machines drift, and then all of a round drift together."""

from collections.abc import Callable, Sequence

from bench.contestants import Absent, Contestant
from bench.data import Slice
from bench.result import Result, Skipped

#: Of each contestant its results, one a round.
Results = dict[str, list[Result]]


def run_rounds(
    contestants: Sequence[Contestant], rounds: Sequence[Slice], say: Callable[[str], None]
) -> tuple[Results, list[Absent]]:
    """Everyone on the same reviews in a round, others in the next. Whoever fails is out, with the reason."""
    results: Results = {one.name: [] for one in contestants}
    out: dict[str, Absent] = {}
    for number, reviews in enumerate(rounds):
        for one in in_turn(contestants, number):
            if one.name in out:
                continue
            try:
                results[one.name].append(one.run(reviews))
            except Skipped as reason:
                out[one.name] = Absent(one.name, str(reason))
                say(f"  {one.name}: {reason}")
            else:
                say(f"  round {number + 1}: {one.name}: {results[one.name][-1].reviews_per_second:,.1f} reviews/s")
    return {name: done for name, done in results.items() if name not in out}, list(out.values())


def in_turn(contestants: Sequence[Contestant], number: int) -> list[Contestant]:
    """Odd rounds run backwards, so that nobody always follows the same one. The first builds what the rest need."""
    return list(reversed(contestants)) if number % 2 else list(contestants)
