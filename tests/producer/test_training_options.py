"""Options that do not go together, or do not fit the labels, are refused in a line."""

import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from producer.errors import OptionError
from producer.training_options import check_options


def test_what_fits_is_let_through() -> None:
    check_options(SINGLE_LABEL, class_weights="balanced")
    check_options(REGRESSION, class_weights="none")


@pytest.mark.parametrize(
    ("problem_type", "options", "said"),
    [
        (MULTI_LABEL, {"class_weights": "balanced"}, "exclude one another, and this is multi label classification"),
        (REGRESSION, {"class_weights": "balanced"}, "exclude one another, and this is regression; leave it out"),
    ],
)
def test_what_does_not_is_refused_with_what_is_allowed(
    problem_type: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        check_options(problem_type, **options)  # type: ignore[arg-type]
