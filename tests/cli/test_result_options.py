"""Filters, pages, counts, groups and failures of `reviewmill results` in every format, on both databases."""

import csv
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cli.formats import FORMATS
from cli.main import main
from cli.result_options import _APART
from db.database import Database
from tests.answers import Stored, store_answers

Ask = Callable[..., tuple[str, str]]


@pytest.fixture
def stored(database: Database) -> Stored:
    return store_answers(database, reviews=8)


@pytest.fixture
def ask(database_url: str, stored: Stored, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `reviewmill results` in this process; returns what is printed and what is said."""
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)

    def run(written: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as end:
            main(["results", *shlex.split(written)])
        printed = capsys.readouterr()
        assert end.value.code == code, printed
        return printed.out, printed.err

    return run


def test_json_pages_laid_together_are_the_whole(ask: Ask, stored: Stored) -> None:
    # An array without a limit, and with one a document that tells of the next page.
    for asked in ("--sort -score", "--uncertain 11", "--sort scored-at --revisions all", "--label positive"):
        whole = json.loads(ask(f"{asked} --json")[0])
        laid, after = [], ""
        while True:
            out, said = ask(f"{asked} --json --limit 3 {after}")
            page = json.loads(out)
            laid += page["results"]
            assert not said
            if page["next"] is None:
                break
            assert len(page["results"]) == 3
            after = f"--after={page['next']}"
        assert laid == whole
        assert len(whole) > 3


@pytest.mark.parametrize("format_", [one for one in FORMATS if one != "parquet"])
def test_a_page_that_is_not_the_last_says_so(ask: Ask, format_: str) -> None:
    out, said = ask(f"--model old --format {format_} --limit 2")
    if format_ == "json":
        cursor = json.loads(out)["next"]
    else:
        start = "There are more: the same with --after "
        (line,) = [line for line in said.splitlines() if line.startswith(start)]
        cursor = line.removeprefix(start)
    following, _ = ask(f"--model old --format json --limit 2 --after={cursor}")
    whole = json.loads(ask("--model old --json")[0])
    assert json.loads(following)["results"] == whole[2:4]
    assert "--after" not in ask(f"--model old --format {format_} --limit 1000")[1]


def test_labels_come_surest_first_unless_told_otherwise(ask: Ask) -> None:
    scores = [one["score"] for one in json.loads(ask("--label positive --json")[0])]
    assert scores == sorted(scores, reverse=True) != sorted(scores)
    ids = [one["review_id"] for one in json.loads(ask("--label positive --sort id --json")[0])]
    assert ids == sorted(ids)


def test_a_job_shows_all_that_it_read_and_else_the_newest_text_counts(ask: Ask, stored: Stored) -> None:
    def ids(asked: str) -> set[int]:
        return {one["review_id"] for one in json.loads(ask(f"{asked} --json")[0])}

    def of_job(job: int) -> set[int]:
        model = stored.job_models[job]
        return stored.job_reviews[job] & {row.review_id for row in stored.rows if stored.models[row.model] == model}

    # One that has read a text which has changed since.
    job = next(job for job in stored.job_models if of_job(job) - stored.current)
    mine = of_job(job)
    assert ids(f"--job {job}") == mine
    assert ids(f"--job {job} --revisions current") == mine & stored.current < mine
    assert ids("") == {row.review_id for row in stored.rows} & stored.current
    assert ids("--revisions all") == {row.review_id for row in stored.rows}


def test_local_times_bound_what_was_scored(ask: Ask, stored: Stored) -> None:
    day = stored.rows[0].scored_at.astimezone().date()
    next_day = day.replace(day=day.day + 1) if day.day < 28 else day.replace(month=1, year=2026, day=1)
    found = json.loads(ask(f"--since {day} --until {next_day} --revisions all --json")[0])
    expected = [row for row in stored.rows if day <= row.scored_at.astimezone().date() < next_day]
    assert len(found) == len(expected) > 0


def test_failures_are_told_in_every_format(ask: Ask, tmp_path: Path) -> None:
    whole = json.loads(ask("--failures --job 3 --json")[0])
    assert [(one["row"], one["external_id"], one["stage"], one["reason"]) for one in whole] == [
        (3, None, "read", "no text"),
        (5, "r77", "read", 'it says "no", \nthen ends'),
        (None, "r0", "score", "memory"),
    ]
    lines = ask("--failures --job 3 --format jsonl")[0].splitlines()
    assert [json.loads(line) for line in lines] == whole
    rows = list(csv.DictReader(io.StringIO(ask("--failures --job 3 --format csv")[0], newline="")))
    assert [row["reason"] for row in rows] == [one["reason"] for one in whole]
    ask(f"--failures --job 3 -o {tmp_path / 'failed.parquet'}")
    assert pq.read_table(tmp_path / "failed.parquet").column("row").to_pylist() == [3, 5, None]
    table = ask("--failures --job 3")[0].splitlines()
    assert table[0].split() == ["job", "row", "id", "stage", "reason"]
    assert table[2].split() == ["3", "5", "r77", "read", "it", "says", '"no",', "then", "ends"]
    assert ask("--failures --job 3 --count") == ("3\n", "")
    first = json.loads(ask("--failures --job 3 --limit 2 --json")[0])
    rest = json.loads(ask(f"--failures --job 3 --limit 2 --json --after={first['next']}")[0])
    assert (first["failures"] + rest["failures"], rest["next"]) == (whole, None)


def test_counts_and_groups_are_told_in_every_format(ask: Ask, stored: Stored, tmp_path: Path) -> None:
    count = sum(row.review_id in stored.current for row in stored.rows)
    assert ask("--count") == (f"{count}\n", "")
    assert json.loads(ask("--count --json")[0]) == {"count": count}
    assert json.loads(ask("--count --format jsonl")[0]) == {"count": count}
    assert ask("--count --format csv")[0].split() == ["count", str(count)]
    groups = json.loads(ask("--group-by model,metadata.brand --json")[0])
    assert sum(one["count"] for one in groups) == count
    assert sum(one["share"] for one in groups) == pytest.approx(1)
    assert list(groups[0]) == ["model", "metadata.brand", "count", "mean_probability", "share"]
    assert {one["metadata.brand"] for one in groups} > {None, "Acme"}
    ask(f"--group-by model,metadata.brand -o {tmp_path / 'groups.parquet'}")
    assert pq.read_table(tmp_path / "groups.parquet").to_pylist() == groups
    assert ask("--group-by model --limit 2")[0].splitlines()[0].split() == ["model", *list(groups[0])[2:]]
    assert json.loads(ask("--group-by model,metadata.brand --limit 2 --json")[0]) == groups[:2]


GIVEN = {
    "model": "old",
    "label": "positive",
    "min_probability": "0.1",
    "max_probability": "0.9",
    "probabilities": "positive>=0.1",
    "uncertain": "3",
    "text": "great",
    "source": "a.csv",
    "where": "brand=Acme",
    "disagree": "old new",
    "revisions": "all",
    "sort": "id",
    "limit": "3",
    "after": "abc",
    "group_by": "label",
    "count": "",
    "failures": "",
}


def test_options_that_do_not_go_together_are_refused(ask: Ask) -> None:
    for name, (why, others) in _APART.items():
        for other in others:
            first, second = (
                ("--probability" if one == "probabilities" else "--" + one.replace("_", "-")) for one in (name, other)
            )
            out, said = ask(f"{first} {GIVEN[name]} {second} {GIVEN[other]}", code=2)
            assert out == ""
            (error,) = [line for line in said.splitlines() if line.startswith("Error:")]
            assert error == f"Error: {second} does not go with {first}: {why}"


REFUSED = {
    "--min-probability 1.5": "1.5 is not in the range 0<=x<=1",
    "--max-probability -0.1": "is not in the range",
    "--probability 'positive>=1.5'": "'1.5' is no probability; write a number from 0 to 1",
    "--probability positive": "write LABEL>=P",
    "--label meh": "labels are: ",
    "--model nobody": "no model is named 'nobody'",
    "--job 99": "there is no job 99; the newest is 5",
    "--failures --job 99": "there is no job 99",
    "--source nowhere": "sources are: 'a.csv'",
    "--where shop=north": "kept are: 'brand'",
    "--sort loudness": "possible are: id, -id",
    "--group-by brand": "possible are: label, source",
    "--group-by label --sort score": "possible are: count",
    "--since 2026-01-02 --until 2026-01-01": "the time to begin with is not the earlier one",
    "--uncertain 3 --sort score": "can not be sorted by score",
    "--after nonsense": "'nonsense' does not lead on here",
    "--disagree old old": "both models are old@1",
    "--disagree old stars": "cannot be compared",
    "--revisions some": "'some' is not one of 'current', 'all'",
    "--limit 0": "0 is not in the range",
    "--text ''": "the text to look for is empty",
}


def test_what_can_not_be_asked_is_said_in_a_line(ask: Ask) -> None:
    for asked, expected in REFUSED.items():
        for format_ in ("table", "json"):
            out, said = ask(f"{asked} --format {format_}", code=2)
            (error,) = [line for line in said.splitlines() if line.startswith("Error:")]
            assert expected in error
            assert out == "", asked
