"""The labels of a new model: the data's, or the base's own."""

from pathlib import Path

import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, read_checkpoint_facts
from producer.checkpoints import BaseCheckpoint, minilm_directory
from producer.errors import LabelError
from producer.head import count_labels, head_labels
from producer.intake import LabelledText
from producer.rows import Columns
from tests.samples import CHECKPOINTS

SINGLE = Columns("text", label="stars")


def base(name: str, directory: Path | None = None) -> BaseCheckpoint:
    directory = directory or CHECKPOINTS / name
    return BaseCheckpoint(name, directory, read_checkpoint_facts(directory))


def texts(*labels: str) -> list[LabelledText]:
    return [LabelledText(str(at), at, label) for at, label in enumerate(labels)]


def test_whole_numbers_stand_in_their_order_and_before_names() -> None:
    assert list(count_labels(texts("b", "10", "9", "-1", "a", "9"), SINGLE).items()) == [
        ("-1", 1),
        ("9", 2),
        ("10", 1),
        ("a", 1),
        ("b", 1),
    ]


def test_several_labels_count_each() -> None:
    found = texts("a|b", "", "b")
    assert count_labels(found, Columns("text", label="topics", problem_type=MULTI_LABEL)) == {"a": 1, "b": 2}
    indicators = Columns("text", indicators=("c", "b", "a"), problem_type=MULTI_LABEL)
    assert list(count_labels(found, indicators).items()) == [("c", 0), ("b", 2), ("a", 1)]


def test_a_regression_s_one_label_is_its_column() -> None:
    assert count_labels(texts("1.0", "2.0"), Columns("text", label="stars", problem_type=REGRESSION)) == {"stars": 2}


def test_the_base_s_own_labels_keep_their_order_and_others_are_new() -> None:
    bert = base("bert-gelu-new")
    assert bert.facts.labels == ("NEGATIVE", "POSITIVE")
    assert head_labels(["POSITIVE", "NEGATIVE"], bert, SINGLE, False) == ["NEGATIVE", "POSITIVE"]
    assert head_labels(["POSITIVE", "NEUTRAL"], bert, SINGLE, False) == ["POSITIVE", "NEUTRAL"]


def test_a_kept_head_knows_more_labels_than_the_data() -> None:
    assert head_labels(["neutral", "negative"], base("bert"), SINGLE, True) == ["negative", "neutral", "positive"]


def test_labels_unknown_to_a_kept_head_are_told_with_those_it_has() -> None:
    with pytest.raises(LabelError) as caught:
        head_labels(["bad", "neutral", "worse"], base("bert"), SINGLE, True)
    assert str(caught.value) == (
        "--keep-head: the head of bert does not know the labels 'bad', 'worse'; "
        "it has the labels 'negative', 'neutral', 'positive'"
    )


def test_a_head_for_something_else_is_not_kept() -> None:
    several = Columns("text", label="topics", problem_type=MULTI_LABEL)
    with pytest.raises(LabelError, match="made for single label classification, and the data for multi label"):
        head_labels(["negative"], base("bert"), several, True)
    with pytest.raises(LabelError, match="minilm is a bare encoder and has no head to keep"):
        head_labels(["a", "b"], base("minilm", minilm_directory()), SINGLE, True)


def test_a_regression_s_head_keeps_its_own_name() -> None:
    stars = Columns("text", label="score", problem_type=REGRESSION)
    assert head_labels(["score"], base("bert-regression"), stars, True) == ["stars"]
    assert head_labels(["score"], base("bert-regression"), stars, False) == ["score"]
