"""What becomes of sources that a teacher tells of: rows without a label are kept, and its labels are the student's."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from db.checkpoint import MULTI_LABEL, REGRESSION
from db.database import Database
from db.jobs import NewJob
from db.registry import RegisteredModel
from db.tables import Example, Job, Review
from producer.checkpoints import BaseCheckpoint, add_model, find_base
from producer.distillation import Distillation, check_teacher, taught_columns
from producer.enqueue import Doorway, TrainingPlan
from producer.errors import CalibrationError, LabelError, ModelError, ProducerError, TeacherError
from producer.layers import check_layers
from producer.rows import Columns
from producer.settings import ProducerSettings
from producer.sources import Source, open_source
from producer.training_set import TrainingSources
from tests.samples import CHECKPOINTS

Write = Callable[..., Source]
PLAN = TrainingPlan("student", validation_share=0, test_share=0)
LABELLED = Columns("body", label="label")


@pytest.fixture
def doorway(database: Database) -> Doorway:
    return Doorway(database, None, ProducerSettings())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A source of rows of (text, label)."""

    def source(*rows: tuple[object, object]) -> Source:
        lines = [json.dumps({"body": text, "label": label}) for text, label in rows]
        (tmp_path / "r.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return open_source(str(tmp_path / "r.jsonl"))

    return source


def teacher(doorway: Doorway, name: str = "bert") -> RegisteredModel:
    return add_model(doorway.database, CHECKPOINTS / name, name=name)


def prepared(
    doorway: Doorway, source: Source, columns: Columns, teacher: RegisteredModel, plan: TrainingPlan = PLAN
) -> NewJob:
    base = find_base(doorway.database, teacher.reference)
    taught = taught_columns(columns, teacher)
    return doorway.prepare_finetuning(
        TrainingSources(source), taught, base, plan, distillation=Distillation(teacher, 3.0, 0.25)
    )


def stored(doorway: Doorway, job: NewJob) -> dict[str, dict[str, str | None]]:
    """Text and label of every example, by split."""
    doorway.enqueue(job)
    with doorway.database.read() as connection:
        rows = connection.execute(
            select(Example.split, Review.text, Example.label).join(Review, Review.id == Example.review_id)
        ).all()
    return {split: {text: label for one, text, label in rows if one == split} for split in {row[0] for row in rows}}


def test_without_a_label_column_all_texts_are_the_teachers_to_tell(doorway: Doorway, write: Write) -> None:
    source = write(*((f"text {number}", "whatever") for number in range(20)), ("", None), ("text 1", None))
    plan = replace(PLAN, validation_share=0.1, test_share=0.2)
    job = prepared(doorway, source, Columns("body"), teacher(doorway), plan)
    splits = stored(doorway, job)
    assert {split: len(texts) for split, texts in splits.items()} == {"train": 14, "validation": 2, "test": 4}
    assert {label for texts in splits.values() for label in texts.values()} == {None}
    assert job.params["labels"] == ["negative", "neutral", "positive"]
    assert job.params["data"]["unlabelled"] == {"train": 14, "validation": 2, "test": 4}
    assert job.params["data"]["left_out"] == {"empty": 1, "repeats": 1}
    assert (job.params["base"], job.params["layers"]) == ("bert@1", None)


def test_the_job_keeps_the_very_version_that_teaches(doorway: Doorway, write: Write) -> None:
    bert = teacher(doorway)
    job = prepared(doorway, write(("a", None), ("b", None)), LABELLED, bert)
    assert job.params["teacher"] == {
        "reference": "bert@1",
        "model_id": bert.id,
        "digest": bert.digest,
        "directory": str(CHECKPOINTS / "bert"),
        "temperature": 3.0,
        "label_weight": 0.25,
    }


def test_rows_with_and_without_a_label_are_both_learned_from(doorway: Doorway, write: Write) -> None:
    rows = [("a", "positive"), ("b", None), ("c", ""), ("d", "negative"), ("b", "neutral"), ("e", "  ")]
    job = prepared(doorway, write(*rows), LABELLED, teacher(doorway))
    assert stored(doorway, job) == {
        # Of the rows of a text those that have a label decide.
        "train": {"a": "positive", "b": "neutral", "c": None, "d": "negative", "e": None}
    }
    assert job.params["data"]["unlabelled"] == {"train": 2}
    assert job.params["data"]["labels"] == {label: {"train": 1} for label in ("negative", "neutral", "positive")}
    assert job.params["data"]["rows"] == 6


def test_labels_and_texts_without_one_are_divided_apart(doorway: Doorway, write: Write) -> None:
    rows = [(f"told {number}", "positive") for number in range(10)] + [(f"text {number}", None) for number in range(90)]
    job = prepared(doorway, write(*rows), LABELLED, teacher(doorway), replace(PLAN, test_share=0.2))
    assert job.params["data"]["labels"] == {"positive": {"train": 8, "test": 2}}
    assert job.params["data"]["unlabelled"] == {"train": 72, "test": 18}


def test_none_of_several_labels_is_a_label_and_nothing_is_none(doorway: Doorway, write: Write) -> None:
    columns = replace(LABELLED, problem_type=MULTI_LABEL)
    job = prepared(
        doorway, write(("a", "price"), ("b", ""), ("c", None)), columns, teacher(doorway, "roberta-multi-label")
    )
    assert stored(doorway, job)["train"] == {"a": "price", "b": "", "c": None}
    assert job.params["data"]["no_label"] == job.params["data"]["unlabelled"] == {"train": 1}
    # What a label is, is the teacher's to say.
    assert job.params["problem_type"] == MULTI_LABEL


def test_a_regression_s_targets_are_those_that_are_told(doorway: Doorway, write: Write) -> None:
    job = prepared(doorway, write(("a", 4), ("b", None), ("c", 4)), LABELLED, teacher(doorway, "bert-regression"))
    assert job.params["problem_type"] == REGRESSION
    assert job.params["labels"] == ["stars"]
    assert job.params["data"]["targets"] == {"train": {"lowest": 4.0, "mean": 4.0, "highest": 4.0}}
    untold = prepared(doorway, write(("a", None)), LABELLED, teacher(doorway, "bert-regression"))
    assert untold.params["data"]["targets"] == {}


@pytest.mark.parametrize(
    ("columns", "name", "plan", "error", "said"),
    [
        (LABELLED, "bert", PLAN, LabelError, "the teacher bert@1 does not know the label 'x'; it has the labels 'neg"),
        (replace(LABELLED, problem_type=MULTI_LABEL), "bert", PLAN, TeacherError, "the teacher bert@1 is made for sin"),
        (Columns("body"), "bert", replace(PLAN, keep_head=True), TeacherError, "--keep-head and --teacher exclude"),
        (Columns("body"), "bert", replace(PLAN, calibrate=True), CalibrationError, "none of these are held out"),
        (Columns("body"), "bert", replace(PLAN, layers=3), ModelError, "--layers 3: bert@1 has 2 encoder layers; keep"),
    ],
)
def test_what_cannot_be_taught_is_refused_in_a_line_and_makes_no_job(
    doorway: Doorway,
    write: Write,
    columns: Columns,
    name: str,
    plan: TrainingPlan,
    error: type[ProducerError],
    said: str,
) -> None:
    with pytest.raises(error) as caught:
        prepared(doorway, write(("a", "x"), ("b", "positive")), columns, teacher(doorway, name), plan)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    with doorway.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(Job)) == 0


def test_a_teacher_must_be_there_as_it_was_registered(doorway: Doorway, tmp_path: Path) -> None:
    shutil.copytree(CHECKPOINTS / "bert", tmp_path / "bert")
    model = add_model(doorway.database, tmp_path / "bert", name="mine")
    check_teacher(model)
    with (tmp_path / "bert" / "config.json").open("a") as file:
        file.write(" ")
    with pytest.raises(TeacherError, match=r"the files of mine@1 in .* are no longer those"):
        check_teacher(model)
    shutil.rmtree(tmp_path / "bert")
    with pytest.raises(TeacherError, match="the files of mine@1 are gone"):
        check_teacher(model)


@pytest.mark.parametrize(
    ("name", "fits", "too_many"), [("bert", 1, 3), ("distilbert", 2, 3), ("xlm-roberta", 1, 3), ("albert", 2, 5)]
)
def test_layers_are_counted_in_every_family(database: Database, name: str, fits: int, too_many: int) -> None:
    base: BaseCheckpoint = find_base(database, str(CHECKPOINTS / name))
    check_layers(base, None)
    check_layers(base, fits)
    with pytest.raises(ModelError, match=f"--layers {too_many}: .*{name} has {too_many - 1} encoder layers"):
        check_layers(base, too_many)


def test_albert_s_groups_share_as_many_layers_each(database: Database) -> None:
    base = find_base(database, str(CHECKPOINTS / "albert"))
    with pytest.raises(ModelError, match=r"share 2 groups of weights; keep a multiple of 2"):
        check_layers(base, 3)
