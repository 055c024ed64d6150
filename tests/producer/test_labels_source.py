"""What people have labelled, as a source: `labels:`."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from db.checkpoint import CheckpointFacts
from db.corrections import NewCorrection, store_corrections
from db.database import Database
from db.errors import UnknownModel
from db.registry import RegisteredModel, register_model
from producer.enqueue import Doorway, TrainingPlan
from producer.errors import ColumnError, OptionError, SourceError
from producer.settings import ProducerSettings
from producer.sources import Record, Source, open_source
from producer.training_request import Training, TrainingRequest, find_training
from tests.corrected import add_model, score
from tests.samples import CHECKPOINTS

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
Correct = Callable[..., RegisteredModel]


@pytest.fixture
def correct(database: Database) -> Correct:
    """Have a model score r0 to r3 and people say what is right, given as (number, annotator, label)."""

    def keep(name: str, *given: tuple[int, str, str], at: datetime = MONDAY, **how: Any) -> RegisteredModel:
        with database.write() as connection:
            model = add_model(connection, name, how.pop("digest", "d" * 64))
            _, ids = score(connection, model, f"{name}.csv", **how)
            made = [NewCorrection(ids[number], model.id, who, label, at) for number, who, label in given]
            store_corrections(connection, made)
        return model

    return keep


def opened(database: Database, spec: str) -> Source:
    return open_source(spec, database=database)


def labels(database: Database, spec: str) -> dict[str, object]:
    """What a source gives, by external id."""
    records = opened(database, spec).records()
    return {str(one.values["external_id"]): one.values["label"] for one in records if isinstance(one, Record)}


def asked(*sources: str, **said: Any) -> TrainingRequest:
    return TrainingRequest(sources=sources, plan=TrainingPlan("mine"), base=str(CHECKPOINTS / "bert"), **said)


def found(database: Database, *sources: str, **said: Any) -> tuple[Training, list[str]]:
    """The training that is asked for, and what was told of it."""
    told: list[str] = []
    return find_training(database, asked(*sources, **said), told.append), told


def test_the_reviews_come_with_what_most_annotators_say(database: Database, correct: Correct) -> None:
    given = [(0, "ada", "positive"), (0, "bob", "positive"), (0, "eve", "negative"), (3, "ada", "negative")]
    correct("sentiment", *given, (1, "ada", "positive"), (1, "bob", "negative"))
    source = opened(database, "labels:")
    assert source.name == "labels:"
    assert source.columns() == ["text", "label", "source", "external_id"]
    named = {"source": "sentiment.csv", "external_id": "r0"}
    assert next(iter(source.records())) == Record(1, {"text": "text 0", "label": "positive", **named})
    assert labels(database, "labels:sentiment") == {"r0": "positive", "r3": "negative"}
    assert (source.rows(), source.share_read()) == (2, 0.5)
    assert source.notices == ["labels:: 1 review is left out, for its annotators disagree: r1"]


def test_a_version_and_a_time_narrow(database: Database, correct: Correct) -> None:
    correct("sentiment", (0, "ada", "positive"), (1, "ada", "positive"))
    correct("sentiment", (1, "ada", "negative"), at=datetime(2026, 11, 25, tzinfo=UTC), digest="e" * 64)
    # Of the same annotator the latest word counts, of whichever version it was said.
    assert labels(database, "labels:sentiment") == {"r0": "positive", "r1": "negative"}
    assert labels(database, "labels:sentiment@1") == {"r0": "positive", "r1": "positive"}
    assert labels(database, "labels:sentiment?since=2026-11-24T12:00:00+00:00") == {"r1": "negative"}
    assert labels(database, "labels:?since=2026-11-01") == labels(database, "labels:")


def test_a_source_is_of_one_question(database: Database, correct: Correct) -> None:
    correct("sentiment", (0, "ada", "positive"))
    correct("topics", (0, "ada", "price"))
    with pytest.raises(SourceError, match="several models; name one: labels:sentiment, labels:topics"):
        opened(database, "labels:")
    assert labels(database, "labels:topics") == {"r0": "price"}


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("labels:", SourceError, "there are no corrections yet; bring some back"),
        ("labels:sentiment", SourceError, "there are no corrections of sentiment; bring"),
        ("labels:mood", UnknownModel, "no model is named 'mood'"),
        ("labels:sentiment?sice=2026", SourceError, "asks for nothing that there is; write it as labels:"),
        ("labels:sentiment?since=", SourceError, "asks for nothing that there is"),
        ("labels:sentiment?label", SourceError, "asks for nothing that there is"),
        ("labels:sentiment?since=monday", SourceError, "since=monday is no time"),
    ],
)
def test_what_is_not_there_is_told(
    database: Database, correct: Correct, spec: str, error: type[Exception], words: str
) -> None:
    correct("sentiment")
    with pytest.raises(error, match=words) as caught:
        opened(database, spec)
    assert "\n" not in str(caught.value)


def test_nothing_since_then_is_told(database: Database, correct: Correct) -> None:
    correct("sentiment", (0, "ada", "positive"))
    with pytest.raises(SourceError, match="has no corrections"):
        opened(database, "labels:?since=2026-12-01")


def test_training_needs_no_columns_and_no_kind(database: Database, correct: Correct) -> None:
    correct("topics", (0, "ada", "price|service"), (1, "ada", ""), pair="second")
    training, told = found(database, "labels:topics")
    columns = training.columns
    assert (columns.text, columns.label, columns.pair) == ("text", "label", "text_pair")
    assert columns.problem_type == "multi_label_classification"
    assert told == ["labels:topics holds such labels, so this is --multi-label"]
    correct("mark", (0, "ada", "4.0"), (1, "ada", "2.5"))
    training, told = found(database, "labels:mark")
    assert (training.columns.label, training.columns.pair) == ("mark", None)
    assert training.columns.problem_type == "regression"
    assert told == ["labels:mark holds such labels, so this is --regression"]


def test_what_was_said_is_not_overruled(database: Database, correct: Correct) -> None:
    correct("sentiment", (0, "ada", "positive"), (1, "ada", "negative"))
    training, told = found(database, "labels:sentiment", multi_label=True, text="external_id")
    assert (training.columns.text, training.columns.problem_type) == ("external_id", "multi_label_classification")
    assert told == []
    with pytest.raises(OptionError, match="exclude each other"):
        found(database, "labels:sentiment", multi_label=True, regression=True)
    with pytest.raises(ColumnError, match="no column 'stars'"):
        found(database, "labels:sentiment", labels=("stars",))


def test_they_are_read_beside_a_file_with_its_names(database: Database, correct: Correct, tmp_path: Path) -> None:
    given = [(0, "positive"), (1, "negative"), (2, "positive"), (3, "negative")]
    correct("sentiment", *((number, "ada", label) for number, label in given))
    rows = [f"more {number},{('negative', 'positive')[number % 2]}" for number in range(4)]
    (tmp_path / "labelled.csv").write_text("\n".join(["body,mood", *rows]) + "\n")
    spec = "labels:sentiment?text=body&label=mood"
    training, _ = found(database, str(tmp_path / "labelled.csv"), spec, validation_split=0, test_split=0)
    job = training.prepare(Doorway(database, None, ProducerSettings()))
    assert job.params["data"]["examples"] == {"train": 8}
    assert job.params["data"]["labels"] == {"negative": {"train": 4}, "positive": {"train": 4}}
    assert job.params["labels"] == ["negative", "positive"]
    assert (job.params["text_column"], job.params["label_column"]) == ("body", "mood")


def test_versions_of_several_kinds_are_not_mixed(database: Database, correct: Correct) -> None:
    first = correct("sentiment", (0, "ada", "positive"))
    with database.write() as connection:
        facts = CheckpointFacts("bert", ("negative", "positive"), "multi_label_classification", 512, "e" * 64)
        second = register_model(connection, "sentiment", Path("/models/other"), facts, kind="directory")
        _, ids = score(connection, first)
        store_corrections(connection, [NewCorrection(ids[0], second.id, "ada", "negative|positive", MONDAY)])
    with pytest.raises(SourceError, match="of several kinds; name one, as in labels:sentiment@1"):
        opened(database, "labels:sentiment")
    assert labels(database, "labels:sentiment@2") == {"r0": "negative|positive"}
