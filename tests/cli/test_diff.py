"""What `reviewmill models diff` prints, and what it refuses before anything is enqueued."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from cli.comparison import Side, document, show_comparison
from db.comparison import Accuracies, Comparison, Errors
from db.jobs import JobStatus
from db.registry import register_model
from db.schema import open_database
from tests.samples import CHECKPOINTS, facts

Run = Callable[..., CompletedProcess[str]]
ROUND = "They agree on 94.3%; the probability of m@1's label differs by 0.0312 on average"


def side(number: int, scored: int, reused: int, pace: float | None) -> Side:
    now = datetime.now(UTC)
    job = JobStatus(
        id=number + 4,
        kind="score",
        state="done",
        model_id=number,
        model=f"m@{number}",
        params={},
        priority="normal",
        total=2_000,
        scored=scored,
        reused=reused,
        failed=0,
        chunks=2,
        error=None,
        created_at=now,
        started_at=now,
        finished_at=now,
    )
    return Side(f"m@{number}", job, {"job_id": job.id, "reviews_per_second": 26.189}, pace)


SIDES = side(1, 2_000, 0, 1_234.5), side(2, 0, 2_000, None)
COMPARED = Comparison(
    2_000,
    0.9434,
    {("negative", "positive"): 1_061, ("positive", "[neutral]"): 53},
    0.03121,
    Accuracies(700, 10, 2, 288),
)


def lines(capsys: pytest.CaptureFixture[str], comparison: Comparison, seen: int = 0) -> list[str]:
    show_comparison(comparison, *SIDES, seen)
    return capsys.readouterr().out.splitlines()


def test_classifiers_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines(capsys, COMPARED, seen=1_200)
    assert shown[:2] == ["m@1 and m@2 on 2,000 reviews that both have scored", ROUND]
    words = [line.split() for line in shown]
    assert ["m@1", "m@2", "reviews"] in words
    assert ["negative", "positive", "1,061"] in words
    assert ["positive", "[neutral]", "53"] in words
    # 2 (1 + 12 + 66) / 2^12, for two of twelve.
    assert (
        "Of 1,000 labelled reviews m@1 is right on 71.0% and m@2 on 70.2%; only the first on 10, only the second on 2: "
        "p = 0.039 (McNemar's exact test)"
    ) in shown
    assert "Not counted: 1,200 labelled reviews that one of them was trained on" in shown
    assert ["m@1", "5", "26.19", "1,234.50", "0", "of", "2,000"] in words
    assert ["m@2", "6", "26.19", "2,000", "of", "2,000"] in words


def test_regressions_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines(capsys, Comparison(2_000, None, {}, 0.25, errors=Errors(900, 0.5, 0.4)))
    assert shown[1] == "Their values differ by 0.2500 on average"
    assert "On 900 labelled reviews m@1 is off by 0.5000 on average, and m@2 by 0.4000" in shown
    assert "McNemar" not in "".join(shown)
    assert "agree" not in "".join(shown)


def test_nothing_is_made_up_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines(capsys, Comparison(0, None, {}, None))
    assert shown[0] == "m@1 and m@2 on 0 reviews that both have scored"
    assert [line.split()[0] for line in shown[1:] if line] == ["model", "m@1", "m@2"]


def test_as_a_document() -> None:
    told = json.loads(json.dumps(document(COMPARED, *SIDES, 7)))
    assert told["flips"][0] == {"first": "negative", "second": "positive", "reviews": 1_061}
    assert told["accuracy"] == {
        "reviews": 1_000,
        "first": 0.71,
        "second": 0.702,
        "both_right": 700,
        "only_first_right": 10,
        "only_second_right": 2,
        "both_wrong": 288,
        "mcnemar_p": pytest.approx(2 * 79 / 4096),
    }
    assert (told["trained_on"], told["mean_absolute_error"]) == (7, None)
    assert told["second"] == {
        "model": "m@2",
        "job_id": 6,
        "reviews_per_second": 26.189,
        "computing_reviews_per_second": None,
    }


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text("body,stars\ngood,5\nbad,1\n")
    (tmp_path / "odd.csv").write_text("key,stars\n1,5\n")
    return path


@pytest.fixture
def _models() -> None:
    with open_database().write() as connection:
        for digest in ("1", "2"):
            register_model(connection, "m", Path("/m"), facts(digest), kind="directory")
        register_model(connection, "stars", Path("/s"), facts("3", ("1", "5")), kind="directory")


@pytest.mark.usefixtures("reviews", "_models")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["m@1", "m@2"], "either --source SOURCE, or --job ID"),
        (["m@1", "m@2", "--source", "reviews.csv", "--text", "body", "--job", "1"], "either --source"),
        (["m@1", "m@2", "--source", "odd.csv"], "which column is the text is not obvious: none looks like it"),
        (["m@1", "m@2", "--job", "1", "--label", "stars"], "--label goes with --source"),
        (["m@1", "m@2", "--job", "1", "--limit", "5"], "--limit goes with --source"),
        (["m@1", "m@2", "--job", "1", "--long", "window"], "--long goes with --source"),
        (["m@1", "m@2", "--job", "7"], "there is no job 7"),
        (["m@1", "m@2", "--source", "nowhere.csv", "--text", "body"], "no such file"),
        (["m@1", "m@2", "--source", "reviews.csv", "--text", "bodi"], "did you mean 'body'?"),
        (["m@1", "m@2", "--source", "reviews.csv", "--text", "body", "--label", "mark"], "'mark'"),
        (["m@1", "m@2", "--source", "reviews.csv", "--text", "body", "--label", "stars"], "(1, 5)"),
        (["m@1", "m@9", "--source", "reviews.csv", "--text", "body"], "its versions are 1, 2"),
        (["m@2", "m", "--source", "reviews.csv", "--text", "body"], "both models are m@2"),
        (["m", "stars", "--source", "reviews.csv", "--text", "body"], "their labels are negative, positive and 1, 5"),
        (["m"], "Missing argument 'B'"),
    ],
)
def test_comparisons_that_make_no_sense(run: Run, arguments: list[str], said: str) -> None:
    refused = run("models", "diff", *arguments)
    assert (refused.returncode, refused.stdout) == (2, ""), refused
    (error,) = [line for line in refused.stderr.splitlines() if line.startswith("Error:")]
    assert said in error
    assert json.loads(run("jobs", "list", "--json").stdout) == []


def test_a_job_that_does_not_succeed_ends_the_comparison(run: Run, reviews: Path) -> None:
    assert run("models", "add", CHECKPOINTS / "bert", "--name", "m").returncode == 0
    scoring = ("score", reviews, "--text", "body", "--model", "m@1", "--no-wait")
    assert run(*scoring).returncode == 0
    assert run("jobs", "cancel", 1).returncode == 0
    with open_database().write() as connection:
        labels = ("negative", "neutral", "positive")
        register_model(connection, "m", Path("/nowhere"), facts("other", labels), kind="directory")
    ended = run("models", "diff", "m@1", "m@2", "--job", 1)
    assert ended.returncode == 1
    assert "Job 1 is cancelled" in ended.stdout
    assert len(json.loads(run("jobs", "list", "--json").stdout)) == 1
