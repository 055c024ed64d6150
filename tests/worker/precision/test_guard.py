"""The guard refuses what changes labels that float32 is sure of, drifts too far, or costs accuracy."""

import numpy as np
import pytest

from worker.precision.guard import Limits, accuracy_drop, compare

LIMITS = Limits()
SINGLE = "single_label_classification"
MULTI = "multi_label_classification"


def pairs(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], axis=1).astype(np.float32)


@pytest.fixture
def reference() -> np.ndarray:
    return pairs(np.random.default_rng(0).uniform(0, 1, 2_000))


def objection(
    reference: np.ndarray, candidate: np.ndarray, problem_type: str = SINGLE, drop: float | None = None
) -> str:
    return compare(reference, candidate, problem_type, LIMITS, drop).objection(LIMITS) or "none"


def test_the_same_numbers_pass(reference: np.ndarray) -> None:
    one = compare(reference, reference.copy(), SINGLE, LIMITS)
    assert one.objection(LIMITS) is None
    assert (one.texts, one.flips, one.sure_flips, one.mean_drift, one.p99_drift) == (2_000, 0, 0, 0.0, 0.0)
    assert one.sure == int((np.abs(reference[:, 0] - reference[:, 1]) >= 0.2).sum())


def test_what_float32_is_unsure_of_may_flip(reference: np.ndarray) -> None:
    tipping = np.abs(reference[:, 1] - 0.5) < 0.005
    candidate = np.where(tipping[:, None], reference[:, ::-1], reference)
    one = compare(reference, candidate, SINGLE, LIMITS)
    assert one.flips == tipping.sum() > 10
    assert (one.sure_flips, one.objection(LIMITS)) == (0, None)


@pytest.mark.parametrize(("flips", "said"), [(1, "none"), (2, "2 of 1,000 sure labels change")])
def test_one_sure_label_in_a_thousand_may_change(flips: int, said: str) -> None:
    reference = pairs(np.full(1_000, 0.61))
    candidate = reference.copy()
    candidate[:flips] = pairs(np.full(flips, 0.49))
    assert objection(reference, candidate) == said


def test_the_drifts_have_limits(reference: np.ndarray) -> None:
    towards_the_middle = np.where(reference > 0.5, -1, 1)
    assert objection(reference, reference + 0.0149 * towards_the_middle) == "none"
    assert "drift by 0.0151 on average" in objection(reference, reference + 0.0151 * towards_the_middle)
    few = (np.arange(2_000) < 25)[:, None]
    assert "one probability in a hundred" in objection(reference, reference + 0.09 * few * towards_the_middle)
    fewer = (np.arange(2_000) < 15)[:, None]
    assert objection(reference, reference + 0.09 * fewer * towards_the_middle) == "none"


def test_a_model_that_lost_its_numbers_is_refused(reference: np.ndarray) -> None:
    assert "not finite" in objection(reference, np.full_like(reference, np.nan))


def test_accuracy_may_fall_by_half_a_point(reference: np.ndarray) -> None:
    labels = reference.argmax(axis=1)
    candidate = reference.copy()
    candidate[:10] = candidate[:10, ::-1]
    assert accuracy_drop(reference, candidate, labels) == pytest.approx(0.005)
    assert objection(reference, reference, drop=0.005) == "none"
    assert objection(reference, reference, drop=0.006) == "accuracy falls by 0.60%"
    assert objection(reference, reference, drop=-0.1) == "none"


def test_labels_that_stand_for_themselves_are_held_one_by_one() -> None:
    reference = np.full((1_000, 3), 0.05, np.float32)
    reference[:, 2] = 0.52  # not sure
    candidate = reference.copy()
    candidate[:, 2] = 0.49
    assert compare(reference, candidate, MULTI, LIMITS).flips == 1_000
    assert compare(reference, candidate, MULTI, LIMITS).sure_flips == 0
    candidate[:2, 0] = 0.55  # sure, and wrong now; the top label is another
    assert objection(reference, candidate, MULTI) == "2 of 1,000 sure labels change"


def test_a_regression_drifts_by_its_own_measure() -> None:
    stars = np.random.default_rng(0).normal(3, 1.5, (1_000, 1)).astype(np.float32)
    assert objection(stars, stars + 0.02, "regression") == "none"
    assert "on average" in objection(stars, stars + 0.03, "regression")
    # The same distance is nothing where the values spread a hundred times as far.
    assert objection(stars * 100, stars * 100 + 0.03, "regression") == "none"
