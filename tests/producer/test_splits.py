"""Splits are seeded, fair to every label, and hang on nothing but the texts, their labels and the seed."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.labels import split_labels
from producer.errors import ExampleError
from producer.intake import LabelledText
from producer.rows import text_hash
from producer.splits import draw_splits

SHARES = {"test": 0.1, "validation": 0.2}


def texts(labels: list[str]) -> list[LabelledText]:
    return [LabelledText(text_hash(f"text {at}"), at, label) for at, label in enumerate(labels)]


def ids(drawn: dict[str, list[LabelledText]]) -> dict[str, set[int]]:
    return {split: {one.review_id for one in found} for split, found in drawn.items()}


def test_every_label_gets_its_share_in_every_split() -> None:
    drawn = draw_splits(texts(["a"] * 700 + ["b"] * 200 + ["c"] * 10 + ["d"] * 5), SINGLE_LABEL, SHARES, 0)
    counts = {split: Counter(one.label for one in found) for split, found in drawn.items()}
    # A tenth and a fifth of each label, to the nearest whole example and a half upwards.
    assert counts["test"] == {"a": 70, "b": 20, "c": 1, "d": 1}
    assert counts["validation"] == {"a": 140, "b": 40, "c": 2, "d": 1}
    assert counts["train"] == {"a": 490, "b": 140, "c": 7, "d": 3}


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("abc"), max_size=40),
    st.sampled_from([SINGLE_LABEL, MULTI_LABEL]),
    st.floats(0, 0.5),
    st.floats(0, 0.49),
    st.integers(),
)
def test_every_text_stands_in_one_split_and_every_label_in_training(
    labels: list[str], problem_type: str, test: float, validation: float, seed: int
) -> None:
    drawn = draw_splits(texts(labels), problem_type, {"test": test, "validation": validation}, seed)
    everywhere = [one.review_id for found in drawn.values() for one in found]
    assert sorted(everywhere) == list(range(len(labels)))
    assert {one.label for one in drawn["train"]} == set(labels)


def test_the_seed_decides_and_the_order_of_the_rows_does_not() -> None:
    rows = texts(["a", "b"] * 200)
    shuffled = random.Random(7).sample(rows, len(rows))
    first, again, other = (
        ids(draw_splits(some, SINGLE_LABEL, SHARES, seed)) for some, seed in ((rows, 0), (shuffled, 0), (rows, 1))
    )
    assert first == again
    assert first["test"] != other["test"]
    # Two draws of a tenth have a tenth of each in common.
    assert len(first["test"] & other["test"]) < 15


def test_more_rows_move_few_texts() -> None:
    rows = texts(["a", "b"] * 500)
    few, all_ = (ids(draw_splits(some, SINGLE_LABEL, SHARES, 0)) for some in (rows[:900], rows))
    moved = len(few["test"] - all_["test"])
    assert moved < 0.2 * len(few["test"])


def test_multi_label_texts_are_divided_by_their_rarest_label() -> None:
    random_ = np.random.default_rng(0)
    shares = {"common": 0.9, "often": 0.3, "rare": 0.02}
    labels = [
        "|".join(sorted(name for name, share in shares.items() if random_.random() < share)) for _ in range(2_000)
    ]
    drawn = draw_splits(texts(labels), MULTI_LABEL, SHARES, 0)
    whole = Counter(name for label in labels for name in split_labels(label))
    for split, share in SHARES.items():
        counts = Counter(name for one in drawn[split] for name in split_labels(one.label))
        assert counts["rare"] == pytest.approx(share * whole["rare"], abs=1)
        assert counts["often"] == pytest.approx(share * whole["often"], rel=0.1)
        assert counts["common"] == pytest.approx(share * whole["common"], rel=0.05)


def test_a_regression_s_splits_reach_over_the_whole_target() -> None:
    targets = np.random.default_rng(0).exponential(3, 1_000)
    drawn = draw_splits(texts([repr(float(target)) for target in targets]), REGRESSION, SHARES, 0)
    deciles = np.quantile(targets, np.linspace(0.1, 0.9, 9))
    for split, share in SHARES.items():
        held_out = [float(one.label) for one in drawn[split]]
        assert Counter(np.digitize(held_out, deciles).tolist()) == {at: round(100 * share) for at in range(10)}


def test_shares_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ExampleError, match=r"0\.5 for test and 0\.5 for validation leave nothing to train on"):
        draw_splits(texts(["a", "b"]), SINGLE_LABEL, {"test": 0.5, "validation": 0.5}, 0)


def test_without_shares_all_is_for_training() -> None:
    assert ids(draw_splits(texts(["a", "b"]), SINGLE_LABEL, {}, 0)) == {"train": {0, 1}}
