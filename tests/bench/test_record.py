"""From the results of rounds to the record and its table."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from bench.contestants import Absent, Contestant
from bench.data import Slice
from bench.record import best_of_groups, make_record
from bench.report import make_table, print_record, write_record
from bench.result import Result, Skipped
from bench.rounds import run_rounds

REVIEWS = Slice(["good", "bad"], [3, 3])


def _result(pace: float) -> Result:
    return Result(
        reviews=100,
        seconds=100 / pace,
        tokens=300,
        batch_tokens=400,
        operations=5_000,
        peak_mib=pace,
        first_result_s=0.5,
    )


def _contestant(name: str, group: str, *paces: float) -> Contestant:
    left = iter(paces)
    return Contestant(name, group, "float32", lambda _: _result(next(left)))


OURS = ("reviewmill openvino int8, end to end", "reviewmill openvino int8")


def _ran(*contestants: Contestant, rounds: int = 3) -> dict:
    results, out = run_rounds(contestants, [REVIEWS] * rounds, lambda _: None)
    return make_record("imdb", contestants, results, [*out, Absent("infinity", "not here")], {"float32": 10_000.0})


def _three() -> list[Contestant]:
    return [
        _contestant(*OURS, 40.0, 20.0, 60.0),
        _contestant("pipeline, batch 1", "pipeline float32", 4.0, 2.0, 6.0),
        _contestant("pipeline, batch 32", "pipeline float32", 8.0, 5.0, 10.0),
    ]


def test_ratios_are_to_the_better_batch_size() -> None:
    record = _ran(*_three())
    ours, slower, better = record["contestants"]
    assert ours["reviews_per_second"] == {"median": 40.0, "low": 20.0, "high": 60.0}
    assert ours["times"] == {"pipeline float32": {"median": 5.0, "low": 4.0, "high": 6.0}}
    assert slower["times"]["pipeline float32"]["median"] == 0.5
    assert better["times"] == {}


def test_a_record_holds_shares_peaks_and_reasons() -> None:
    ours = _ran(*_three())["contestants"][0]
    assert ours["tokens_per_second"]["median"] == 120.0
    assert ours["padding_share"] == 0.25
    assert ours["peak_mib"] == 60.0
    # 5,000 operations in 2.5 s, of 10,000 a second.
    assert ours["share_of_peak"] == {"float32": 0.2}
    assert len(ours["rounds"]) == 3


def test_ours_are_nobodys_rivals() -> None:
    contestants = _three()
    results, _ = run_rounds(contestants, [REVIEWS], lambda _: None)
    assert best_of_groups(contestants, results) == {"pipeline float32": "pipeline, batch 32"}


def test_everyone_takes_a_turn_in_each_round_and_nobody_always_first() -> None:
    order: list[str] = []

    def noting(name: str) -> Contestant:
        return Contestant(name, name, "float32", lambda _: order.append(name) or _result(1.0))

    run_rounds([noting("a"), noting("b"), noting("c")], [REVIEWS] * 3, lambda _: None)
    assert order == ["a", "b", "c", "c", "b", "a", "a", "b", "c"]


def test_whoever_fails_is_out_with_the_reason_and_the_others_go_on() -> None:
    def fail(_: Slice) -> Result:
        raise Skipped("it failed: no memory")

    record = _ran(_contestant(*OURS, 1.0, 1.0), Contestant("broken", "broken", "int8", fail), rounds=2)
    assert [one["name"] for one in record["contestants"]] == [OURS[0]]
    assert record["skipped"] == {"broken": "it failed: no memory", "infinity": "not here"}


def test_the_table_tells_every_contestant_and_who_did_not_run() -> None:
    console = Console(width=200, record=True, file=StringIO())
    record = _ran(*_three())
    print_record(record, make_table(record), console)
    said = console.export_text()
    assert "40.0 (20.0-60.0)" in said
    assert "5.00 (4.00-6.00)" in said
    assert "25%" in said
    assert "20%" in said
    assert "skipped: infinity: not here" in said


def test_a_written_record_reads_back(tmp_path: Path) -> None:
    record = _ran(*_three())
    assert json.loads(write_record(record, "local-imdb", tmp_path).read_text()) == record
