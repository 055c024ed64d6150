"""Options that do not go together, or do not fit the labels, are refused in a line."""

from dataclasses import asdict

import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from producer.enqueue import TrainingPlan
from producer.errors import OptionError
from producer.training_options import check_early_stopping, check_numbers, check_options


def check(problem_type: str, **options: object) -> None:
    """As a plan has them that sets no other options."""
    plan: dict[str, object] = {"class_weights": "none", "freeze": False, "lora_rank": None, "early_stopping": None}
    plan |= {"has_teacher": False}
    check_options(problem_type, **plan | options)  # type: ignore[arg-type]


def test_what_fits_is_let_through() -> None:
    check(SINGLE_LABEL, class_weights="balanced", freeze=True)
    check(REGRESSION, lora_rank=4, early_stopping="mae")
    check(MULTI_LABEL, early_stopping="macro_f1")
    check_early_stopping("loss", 1)
    check_early_stopping(None, 0)


@pytest.mark.parametrize(
    ("problem_type", "options", "said"),
    [
        (MULTI_LABEL, {"class_weights": "balanced"}, "exclude one another, and this is multi label classification"),
        (REGRESSION, {"class_weights": "balanced"}, "exclude one another, and this is regression; leave it out"),
        (SINGLE_LABEL, {"class_weights": "balanced", "has_teacher": True}, "leave out one of the two"),
        (SINGLE_LABEL, {"freeze": True, "lora_rank": 4}, "--freeze and --lora-rank exclude each other"),
        (SINGLE_LABEL, {"early_stopping": "mae"}, "single label classification; give loss, accuracy, macro_f1"),
        (REGRESSION, {"early_stopping": "accuracy"}, "cannot be measured of regression; give loss, mae"),
    ],
)
def test_what_does_not_is_refused_with_what_is_allowed(
    problem_type: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        check(problem_type, **options)


def test_without_validation_texts_nothing_stops_early() -> None:
    with pytest.raises(OptionError, match="none of these are held out; give a --validation-split above 0"):
        check_early_stopping("loss", 0)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"epochs": 0}, "--epochs 0 is not a whole number from 1"),
        ({"epochs": 1.5}, "--epochs 1.5 is not a whole number from 1"),
        ({"batch_size": True}, "--batch-size True is not a whole number from 1"),
        ({"max_length": 7}, "--max-length 7 is not a whole number from 8"),
        ({"lora_rank": 257}, "--lora-rank 257 is not a whole number from 1 to 256"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0 is not a number above 0 to 1"),
        ({"learning_rate": float("nan")}, "--learning-rate nan is not a number above 0 to 1"),
        ({"dropout": 1}, "--dropout 1 is not a number from 0 and below 1"),
        ({"test_share": -0.1}, "--test-split -0.1 is not a number from 0 and below 1"),
        ({"label_weight": "half"}, "--label-weight 'half' is not a number from 0 to 1"),
    ],
)
def test_numbers_outside_their_range_are_refused(plan: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_numbers(plan)
    assert str(caught.value) == said


def test_numbers_at_the_ends_of_their_range_are_let_through() -> None:
    check_numbers({"epochs": 1, "max_length": 8, "lora_rank": 256, "learning_rate": 1, "dropout": 0, "label_weight": 1})
    check_numbers({"max_length": None, "name": "m", "patience": None})
    check_numbers(asdict(TrainingPlan("m")))
