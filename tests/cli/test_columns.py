"""What is guessed about columns is said, what is not obvious is refused, and kept columns find results again."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from db.jobs import job_status
from db.predictions import Scored, store_predictions
from db.schema import open_database
from db.tables import Review
from tests.samples import CHECKPOINTS, verdict

Run = Callable[..., CompletedProcess[str]]
BERT = CHECKPOINTS / "bert"
NOTHING_WAITS = ("--model", BERT, "--no-wait", "--json")


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text('id,body,"shop, city",stars\n1,good,"north, A",5\n2,bad,"south, B",1\n3,odd,"south, B",3\n')
    return path


def enqueued(result: CompletedProcess[str]) -> int:
    assert result.returncode == 0, result
    return int(json.loads(result.stdout)["job_id"])


def params(job_id: int) -> dict[str, object]:
    with open_database().read() as connection:
        return job_status(connection, job_id).params


def answer(job_id: int) -> None:
    """Have every review there is scored by the job."""
    with open_database().write() as connection:
        ids = connection.scalars(Review.__table__.select().with_only_columns(Review.id)).all()
        store_predictions(connection, 1, [Scored(id_, job_id, verdict(0.9)) for id_ in ids])


def test_an_obvious_text_is_taken_and_said(run: Run, reviews: Path) -> None:
    result = run("score", reviews, *NOTHING_WAITS)
    assert params(enqueued(result))["text_column"] == "body"
    assert "The text is taken from the column 'body'; for another: --text COL" in result.stderr
    assert "Ids are made from the texts; for those of the column 'id': --id id" in result.stderr
    named = run("score", reviews, "--text", "body", "--id", "id", *NOTHING_WAITS)
    enqueued(named)
    assert named.stderr == ""


def test_an_obvious_label_is_taken_and_said(run: Run, reviews: Path) -> None:
    reviews.write_text("body,stars\n" + "".join(f"text {number},{number % 2}\n" for number in range(20)))
    result = run("finetune", reviews, "--name", "m", "--base", BERT, "--no-wait", "--json")
    kept = params(enqueued(result))
    assert (kept["text_column"], kept["label_column"]) == ("body", "stars")
    assert "The label is taken from the column 'stars'; for another: --label COL" in result.stderr


def test_kept_columns_find_results_again(run: Run, reviews: Path) -> None:
    job_id = enqueued(run("score", reviews, "--id", "id", "--keep", "shop, city", "--keep", "stars,id", *NOTHING_WAITS))
    assert params(job_id)["kept_columns"] == ["shop, city", "stars", "id"]
    answer(job_id)
    found = json.loads(run("results", "--where", "shop, city=south, B", "--where", "stars>=2", "--json").stdout)
    assert [one["external_id"] for one in found] == ["3"]
    assert found[0]["metadata"] == {"shop, city": "south, B", "stars": "3", "id": "3"}
    (row,) = csv.DictReader(io.StringIO(run("results", "--where", "stars=5", "--format", "csv").stdout))
    assert json.loads(row["metadata"])["shop, city"] == "north, A"


def test_reviews_of_two_files_are_those_of_one_source(run: Run, reviews: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.csv"
    again.write_text(reviews.read_text().replace("bad", "better"))
    for path in (reviews, again):
        assert (
            params(enqueued(run("score", path, "--id", "id", "--source", "shop", *NOTHING_WAITS)))["source"] == "shop"
        )
    answer(2)
    texts = [one["text"] for one in json.loads(run("results", "--job", 2, "--json").stdout)]
    assert texts == ["good", "odd", "better"]
    assert {one["source"] for one in json.loads(run("results", "--json").stdout)} == {"shop"}


REFUSED = [
    (["score", "two.csv"], "'text', 'review' could be; give --text COL; the columns are 'text', 'review', 'stars'"),
    (["score", "numbers.csv"], "which column is the text is not obvious: none looks like it"),
    (["estimate", "two.csv"], "'text', 'review' could be"),
    (["finetune", "two.csv", "--text", "text", "--name", "m", "--base", BERT, "--regression", "--label", "x"], "'x'"),
    (["finetune", "plain.csv", "--name", "m", "--base", BERT], "give --label COL, or a --teacher to learn from"),
    (["score", "plain.csv", "--model", BERT, "--keep", "shop"], "no column 'shop'"),
    (["score", "plain.csv", "--model", BERT, "--source", " "], "the name of a source is empty"),
    (["score", "plain.csv", "--model", BERT, "--max-failures", "some"], "'some' is no limit"),
    (["score", "rotten.csv", "--model", BERT, "--max-failures", "1"], "2 rows of the 3 read from rotten.csv are bad"),
    (["score", "rotten.csv", "--model", BERT, "--max-failures", "50%"], "The first: line 3: no text; line 4: no text"),
    (["results", "--where", "shop"], "'shop' is no condition: write COL=VALUE"),
    (["results", "--where", "shop=north"], "no job keeps a column 'shop'; kept are: none; keep some with `score"),
]


def test_what_is_not_obvious_or_rotten_is_refused_in_a_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "two.csv").write_text("text,review,stars\ngood,bad,5\n")
    (tmp_path / "numbers.csv").write_text("key,stars\n1,5\n")
    (tmp_path / "plain.csv").write_text("body,mark\ngood,5\n")
    (tmp_path / "rotten.csv").write_text("key,body\n1,good\n2,\n3,\n")
    for arguments, said in REFUSED:
        result = run(*arguments)
        assert (result.returncode, result.stdout) == (2, ""), result
        (error,) = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
        assert said in error
    assert json.loads(run("jobs", "list", "--json").stdout) == []
