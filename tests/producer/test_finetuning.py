"""What becomes of labelled sources: the examples in SQL, the check that is kept, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.checkpoint import MULTI_LABEL, REGRESSION
from db.database import Database
from db.jobs import JobStatus, job_status, refused_rows
from db.tables import Example, Job, Review
from producer.checkpoints import BaseCheckpoint, find_base
from producer.enqueue import Doorway, TrainingPlan
from producer.errors import ExampleError, LabelError, ProducerError, SourceError
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Source, open_source
from producer.training_set import TrainingSources
from tests.samples import CHECKPOINTS

Write = Callable[..., Source]
LABELLED = Columns("body", label="label")
NUMBERED = Columns("body", label="label", problem_type=REGRESSION)


@pytest.fixture
def doorway(database: Database) -> Doorway:
    """Without a doorbell: what stands in SQL is looked at."""
    return Doorway(database, None, ProducerSettings())


@pytest.fixture
def base(database: Database) -> BaseCheckpoint:
    return find_base(database, str(CHECKPOINTS / "bert"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A source of rows of (text, label)."""

    def source(name: str, *rows: tuple[object, object]) -> Source:
        lines = [json.dumps({"body": text, "label": label}) for text, label in rows]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return open_source(str(tmp_path / name))

    return source


def enqueued(doorway: Doorway, base: BaseCheckpoint, source: Source, **given: object) -> JobStatus:
    """The job that fine-tuning on these sources makes. Nothing is drawn from the first without a plan."""
    sources = TrainingSources(source, given.pop("validation", None), given.pop("test", None))  # type: ignore[arg-type]
    plan = given.pop("plan", TrainingPlan("m", validation_share=0, test_share=0))
    job = doorway.prepare_finetuning(sources, given.pop("columns", LABELLED), base, plan, **given)  # type: ignore[arg-type]
    job_id = doorway.enqueue(job)
    with doorway.database.read() as connection:
        return job_status(connection, job_id)


def stored(database: Database) -> dict[str, dict[str, str]]:
    """Text and label of every example, by split."""
    with database.read() as connection:
        rows = connection.execute(
            select(Example.split, Review.text, Example.label).join(Review, Review.id == Example.review_id)
        ).all()
    return {split: {text: label for one, text, label in rows if one == split} for split in {row[0] for row in rows}}


def test_a_text_is_one_example_of_one_split(doorway: Doorway, base: BaseCheckpoint, write: Write) -> None:
    source = write("r.jsonl", *((f"text {number % 150}", number % 150 % 3) for number in range(300)))
    plan = TrainingPlan("m", epochs=2, batch_size=5, accumulate=2, validation_share=0.3, test_share=0.2)
    job = enqueued(doorway, base, source, plan=plan)
    splits = stored(doorway.database)
    assert {split: len(texts) for split, texts in splits.items()} == {"train": 75, "validation": 45, "test": 30}
    assert len(set().union(*splits.values())) == 150
    assert job.total == 300
    assert job.params["labels"] == ["0", "1", "2"]
    assert job.params["steps"] == 2 * 8
    assert (job.params["name"], job.params["problem_type"]) == ("m", "single_label_classification")
    assert job.params["data"]["left_out"] == {"repeats": 150}
    assert job.params["data"]["labels"]["1"] == {"train": 25, "validation": 15, "test": 10}


def test_the_whole_of_a_source_is_accounted_for(doorway: Doorway, base: BaseCheckpoint, write: Write) -> None:
    fine = [(f"text {number}", "ab"[number % 2]) for number in range(10)]
    odd = [("", "a"), (None, "a"), ("x", None), ("y" * 200_000, "a"), ("text 0", "a"), ("tie", "a"), ("tie", "b")]
    settled = [("some", "a"), ("some", "b"), ("some", "b")]
    validation = write("v.jsonl", ("text 1", "b"), ("other", "a"), ("", "a"))
    job = enqueued(doorway, base, write("r.jsonl", *fine, *odd, *settled), validation=validation)
    data = job.params["data"]
    left_out = {"empty": 3, "unlabelled": 1, "unreadable": 1, "repeats": 4, "ties": 1, "train_in_validation": 1}
    assert data["left_out"] == left_out
    assert (data["rows"], data["settled"]) == (job.total, 1) == (23, 1)
    assert data["rows"] == sum(data["examples"].values()) + sum(left_out.values())
    splits = stored(doorway.database)
    assert splits["validation"] == {"text 1": "b", "other": "a"}
    assert splits["train"] == {text: label for text, label in fine if text != "text 1"} | {"some": "b"}
    assert data["labels"] == {"a": {"train": 5, "validation": 1}, "b": {"train": 5, "validation": 1}}
    with doorway.database.read() as connection:
        reasons = [failure["reason"] for failure in refused_rows(connection, job.id)]
    assert reasons[0] == "no text"
    assert reasons[-1] == "in v.jsonl: no text"


def test_a_split_with_a_source_of_its_own_takes_no_share(doorway: Doorway, base: BaseCheckpoint, write: Write) -> None:
    source = write("r.jsonl", *((f"text {number}", "ab"[number % 2]) for number in range(100)))
    test = write("t.jsonl", ("other", "a"), ("text 0", "a"))
    job = enqueued(doorway, base, source, test=test, plan=TrainingPlan("m"), limit=81)
    assert job.params["data"]["examples"] == {"train": 72, "validation": 8, "test": 2}
    assert (job.params["source"], job.params["test_source"]) == ("r.jsonl", "t.jsonl")
    assert "validation_source" not in job.params


def test_several_labels_are_kept_joined(doorway: Doorway, base: BaseCheckpoint, write: Write) -> None:
    rows = [("p", "price"), ("q", "quality"), ("both", "quality|price"), ("neither", "")]
    columns = Columns("body", label="label", problem_type=MULTI_LABEL)
    job = enqueued(doorway, base, write("r.jsonl", *rows), columns=columns)
    assert stored(doorway.database)["train"] == {"p": "price", "q": "quality", "both": "price|quality", "neither": ""}
    assert job.params["labels"] == ["price", "quality"]
    assert job.params["data"]["labels"] == {"price": {"train": 2}, "quality": {"train": 2}}
    assert job.params["data"]["no_label"] == {"train": 1}


def test_indicator_columns_are_the_labels_in_their_order(
    doorway: Doorway, base: BaseCheckpoint, tmp_path: Path
) -> None:
    path = tmp_path / "r.csv"
    path.write_text("body,quality,price\na,1,0\nb,0,1\nc,1,1\nd,0,0\n")
    columns = Columns("body", indicators=("quality", "price"), problem_type=MULTI_LABEL)
    job = enqueued(doorway, base, open_source(str(path)), columns=columns)
    assert stored(doorway.database)["train"] == {"a": "quality", "b": "price", "c": "price|quality", "d": ""}
    assert job.params["labels"] == job.params["indicator_columns"] == ["quality", "price"]


def test_numbers_are_kept_as_they_are(doorway: Doorway, base: BaseCheckpoint, write: Write) -> None:
    source = write("r.jsonl", ("a", 1), ("b", "2.5"), ("c", 0.1), ("c", 0.4))
    job = enqueued(doorway, base, source, columns=NUMBERED)
    labels = stored(doorway.database)["train"]
    assert {text: float(label) for text, label in labels.items()} == {"a": 1.0, "b": 2.5, "c": 0.25}
    assert (job.params["labels"], job.params["problem_type"]) == (["label"], "regression")
    assert job.params["data"]["targets"] == {
        "train": {"lowest": 0.25, "mean": pytest.approx(1.25), "highest": 2.5},
    }


def test_a_kept_head_may_know_more_labels(doorway: Doorway, base: BaseCheckpoint, write: Write) -> None:
    source = write("r.jsonl", *((f"text {n}", ("negative", "positive")[n % 2]) for n in range(8)))
    validation = write("v.jsonl", ("meh", "neutral"))
    plan = TrainingPlan("m", validation_share=0, test_share=0, keep_head=True)
    job = enqueued(doorway, base, source, validation=validation, plan=plan)
    assert job.params["labels"] == ["negative", "neutral", "positive"]
    assert job.params["data"]["labels"]["neutral"] == {"train": 0, "validation": 1}


TWO_OF_EACH = (("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"))


@pytest.mark.parametrize(
    ("rows", "validation", "columns", "error", "said"),
    [
        ([("good", "a"), ("fine", "a")], None, LABELLED, LabelError, "two labels, and the source has only 'a'"),
        ([*TWO_OF_EACH, ("e", "z")], None, LABELLED, LabelError, "at least 2 different texts, and the label 'z' has"),
        ([*TWO_OF_EACH, ("e", "z"), ("e", "z")], None, LABELLED, LabelError, "the label 'z' has fewer"),
        ([("", "a"), ("x", None)], None, LABELLED, ExampleError, "no row for train; the first, on line 1: no text"),
        ([("a", "x"), ("a", "y")], None, LABELLED, ExampleError, "no text of r.jsonl is left for train"),
        (TWO_OF_EACH, TWO_OF_EACH, LABELLED, ExampleError, "no text of r.jsonl is left for train: all stand in"),
        (TWO_OF_EACH, [("", "x")], LABELLED, ExampleError, "v.jsonl has no row for validation; the first"),
        (TWO_OF_EACH, [("e", "z")], LABELLED, LabelError, "the validation source has the label 'z', which the model"),
        ([*TWO_OF_EACH, (7, "x")], None, LABELLED, ExampleError, "line 5 of r.jsonl: the text is a number, not text"),
        ([*TWO_OF_EACH, ("e", 4.5)], None, LABELLED, ExampleError, "line 5 of r.jsonl: the label is a number"),
        ([("a", 1), ("b", float("nan"))], None, NUMBERED, ExampleError, "line 2 of r.jsonl: the target is nan"),
        ([("a", 1), ("b", "two")], None, NUMBERED, ExampleError, "line 2 of r.jsonl: the target is 'two'"),
        ([("a", 2), ("b", 2)], None, NUMBERED, LabelError, "the target of every text to train on is 2.0"),
        ([("a", "x"), ("b", "x")], None, Columns("body", label="label", problem_type=MULTI_LABEL), LabelError, "'x'"),
    ],
)
def test_what_cannot_work_is_refused_in_a_line_and_makes_no_job(
    doorway: Doorway,
    base: BaseCheckpoint,
    write: Write,
    rows: list[tuple[object, object]],
    validation: list[tuple[object, object]] | None,
    columns: Columns,
    error: type[ProducerError],
    said: str,
) -> None:
    beside = None if validation is None else write("v.jsonl", *validation)
    with pytest.raises(error) as caught:
        enqueued(doorway, base, write("r.jsonl", *rows), validation=beside, columns=columns)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    with doorway.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Job)) == 0


def test_an_empty_source_to_measure_on_is_told(
    doorway: Doorway, base: BaseCheckpoint, write: Write, tmp_path: Path
) -> None:
    (tmp_path / "v.csv").write_text("body,label\n")
    with pytest.raises(SourceError, match=r"v\.csv has no rows"):
        enqueued(doorway, base, write("r.jsonl", *TWO_OF_EACH), test=open_source(str(tmp_path / "v.csv")))
