"""What several annotators say together."""

import pytest

from db.annotators import agreed
from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL


@pytest.mark.parametrize(
    ("labels", "problem_type", "together"),
    [
        (["good"], SINGLE_LABEL, "good"),
        (["good", "bad", "good"], SINGLE_LABEL, "good"),
        (["good", "bad"], SINGLE_LABEL, None),
        (["good", "bad", "fair"], SINGLE_LABEL, None),
        (["price|service", "price", "price|delivery"], MULTI_LABEL, "price"),
        (["price", "", ""], MULTI_LABEL, ""),
        (["price|service", "price"], MULTI_LABEL, None),
        (["price|service", "price|service"], MULTI_LABEL, "price|service"),
        (["4.0", "5.0"], REGRESSION, "4.5"),
        (["4.0"], REGRESSION, "4.0"),
    ],
)
def test_most_annotators_tell_and_ties_are_none(labels: list[str], problem_type: str, together: str | None) -> None:
    assert agreed(labels, problem_type) == together
