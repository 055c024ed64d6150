"""Options that do not go together, or do not fit the labels, are refused in a line."""

import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from producer.errors import OptionError
from producer.training_options import check_early_stopping, check_options


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
