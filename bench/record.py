"""The record of a data set: everything that was measured, as it goes into bench/results."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.contestants import Absent, Contestant
from bench.figures import Spread, padding_share, ratio, spread
from bench.result import Result
from bench.rounds import Results

METHOD = (
    "Rounds are interleaved, every contestant in a process of its own on the same reviews, other reviews each round. "
    "Figures are medians over rounds, with the smallest and largest; ratios are taken round by round. Loading and a "
    "warm-up come before the clock. Ours end to end is from the job's commit to its last result's commit. Tokens "
    "and operations count no padding; operations are those of the published model, whose last layer ours computes for "
    "the first token only. The pipeline does as many reviews of a round as fit in its time."
)


def make_record(
    data_set: str,
    contestants: Sequence[Contestant],
    results: Results,
    absent: Sequence[Absent],
    peaks: Mapping[str, float],
) -> dict[str, Any]:
    """The JSON document of one data set, but for the machine."""
    known = [one for one in contestants if results.get(one.name)]
    rivals = best_of_groups(known, results)
    return {
        "data_set": data_set,
        "method": METHOD,
        "contestants": [_entry(one, results, rivals, peaks) for one in known],
        "skipped": {one.name: one.reason for one in absent},
    }


def best_of_groups(contestants: Sequence[Contestant], results: Results) -> dict[str, str]:
    """Of each group of peers the fastest by its median: the pipeline with its better batch size."""
    best: dict[str, str] = {}
    for one in contestants:
        if not one.name.startswith("reviewmill"):
            there = best.setdefault(one.group, one.name)
            if _pace(results[one.name]).median > _pace(results[there]).median:
                best[one.group] = one.name
    return best


def _entry(one: Contestant, results: Results, rivals: Mapping[str, str], peaks: Mapping[str, float]) -> dict[str, Any]:
    rounds = results[one.name]
    first = [result.first_result_s for result in rounds if result.first_result_s is not None]
    ratios = {
        group: asdict(ratio(_paces(rounds), _paces(results[name])))
        for group, name in rivals.items()
        if name != one.name
    }
    return {
        "name": one.name,
        "reviews_per_second": asdict(_pace(rounds)),
        "tokens_per_second": asdict(spread([result.tokens / result.seconds for result in rounds])),
        "times": ratios,
        "padding_share": spread([padding_share(result.tokens, result.batch_tokens) for result in rounds]).median,
        "peak_mib": max(result.peak_mib for result in rounds),
        "first_result_s": asdict(spread(first)) if first else None,
        "share_of_peak": {name: _share(rounds, peak) for name, peak in peaks.items()},
        "own_peak": one.peak,
        "rounds": [asdict(result) for result in rounds],
    }


def _share(rounds: Sequence[Result], peak: float) -> float:
    return spread([result.operations / result.seconds / peak for result in rounds]).median


def _paces(rounds: Sequence[Result]) -> list[float]:
    return [result.reviews_per_second for result in rounds]


def _pace(rounds: Sequence[Result]) -> Spread:
    return spread(_paces(rounds))
