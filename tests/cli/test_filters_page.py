"""What docs/filters.md shows is what its commands print, on both databases."""

import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from cli.main import main
from cli.results import command
from db.checkpoint import CheckpointFacts
from db.database import Database
from db.jobs import NewJob, RejectedRow, create_job
from db.kept import KEPT_COLUMNS
from db.predictions import Scored, ScoreFailure, Verdict, store_predictions, store_score_failures
from db.promotion import promote
from db.registry import register_model
from db.reviews import store_reviews
from db.tables import Prediction
from tests.samples import SomeReview

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text()
LABELS = ("negative", "neutral", "positive")
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
#: Id, brand, stars, text, and what the two versions say of negative and positive; neutral is the rest.
REVIEWS = (
    ("101", "Acme", 5, "Arrived a day early. Delighted.", (0.03, 0.92), (0.02, 0.95)),
    ("102", "Acme", 1, "The kettle broke after a week.", (0.88, 0.04), (0.91, 0.03)),
    ("103", "Zenith", 3, "It is a kettle. It boils water.", (0.25, 0.45), (0.20, 0.28)),
    ("104", "Zenith", 1, "Never again.", (0.95, 0.01), (0.97, 0.01)),
    ("105", "Acme", 4, "Not the colour I ordered, but my daughter loves it.", (0.46, 0.41), (0.22, 0.66)),
    ("106", None, 2, "Nobody answers my mails.", (0.88, 0.02), (0.84, 0.06)),
    ("107", "Zenith", 4, "Does what a Kettle should.", (0.10, 0.58), (0.07, 0.71)),
    ("108", "Acme", 3, "Boils fast, leaks a little.", (0.37, 0.39), (0.48, 0.33)),
    ("104", "Zenith", 5, "They sent another. All is well now.", (0.12, 0.80), (0.10, 0.85)),
)


@pytest.fixture(autouse=True)
def _shop(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWMILL_DATABASE_URL", database_url)
    monkeypatch.delenv("COLUMNS", raising=False)
    with database.write() as connection:
        fill(connection)


def fill(connection: Connection) -> None:
    """Two jobs, of two versions, on the shop's reviews, a row scored every 30 hours."""
    rows = [
        SomeReview(key, text, extra={"stars": stars} | ({"brand": brand} if brand else {}))
        for key, brand, stars, text, *_ in REVIEWS
    ]
    ids = [store_reviews(connection, "shop.csv", [row])[0] for row in rows]
    for version in (0, 1):
        one = CheckpointFacts("bert", LABELS, "single_label_classification", 512, str(version) * 64)
        model = register_model(connection, "shop", Path("/models/shop"), one, kind="directory").id
        rejected = [RejectedRow(5, "109", "the text is only white space")] if version else []
        new = NewJob("score", {KEPT_COLUMNS: ["brand", "stars"]}, [ids], model_id=model, rejected=rejected)
        job, _ = create_job(connection, new)
        verdicts = [verdict(*answers[version]) for *_, first, second in REVIEWS for answers in [(first, second)]]
        scored = [Scored(id_, job, one) for id_, one in zip(ids, verdicts, strict=True)]
        store_predictions(connection, model, scored)
    for number, id_ in enumerate(ids):
        at = MONDAY + timedelta(hours=30 * number)
        connection.execute(update(Prediction).where(Prediction.review_id == id_).values(scored_at=at))
    store_score_failures(connection, 2, [ScoreFailure(None, "110", "deleted"), ScoreFailure(None, "111", "memory")])
    promote(connection, "shop@1", "production")


def verdict(negative: float, positive: float) -> Verdict:
    probabilities = {"negative": negative, "neutral": round(1 - negative - positive, 2), "positive": positive}
    label = max(LABELS, key=probabilities.__getitem__)
    second, first = sorted(probabilities.values())[1:]
    return Verdict(label, first, round(first - second, 2), probabilities, 9, False, "float32")


def examples() -> list[tuple[str, str]]:
    """Each command of the page, and what it prints there."""
    (*blocks,) = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    found = [one for block in blocks for one in re.findall(r"^\$ reviewmill (.*)\n((?:[^$\n].*\n|\n)*)", block, re.M)]
    return [(written, printed.strip("\n")) for written, printed in found]


def test_every_example_prints_what_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(examples()) == PAGE.count("\n$ ") > 10
    for written, shown in examples():
        with pytest.raises(SystemExit) as end:
            main(shlex.split(written))
        out, errors = capsys.readouterr()
        said = [line for line in errors.splitlines() if not line.startswith(("Usage:", "Try "))]
        printed = [line.rstrip() for line in (*out.splitlines(), *filter(None, said))]
        assert "\n".join(printed) == shown, written
        assert end.value.code == (2 if "Error:" in shown else 0)


def test_the_page_tells_of_every_option() -> None:
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    assert set(re.findall(r"--[a-z-]+", PAGE)) >= options - {"--format", "--output"}
