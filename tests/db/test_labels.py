"""Labels joined into one text come apart again."""

import pytest

from db.labels import join_labels, split_labels


@pytest.mark.parametrize(
    ("labels", "joined"), [([], ""), (["b"], "b"), (["b", "a", "b"], "a|b"), (["price", "a b"], "a b|price")]
)
def test_labels_are_joined_once_and_in_order(labels: list[str], joined: str) -> None:
    assert join_labels(labels) == joined
    assert split_labels(joined) == sorted(set(labels))
