"""The temperature is where scipy finds it, and is found again where it was hidden."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from worker.probabilities import probabilities
from worker.training.evaluation import calibration_error
from worker.training.temperature import fit_temperature


def softmax(logits: np.ndarray) -> np.ndarray:
    return probabilities(logits, "single_label_classification")


def loss(logits: np.ndarray, targets: np.ndarray, temperature: float) -> float:
    return float(-log_softmax(logits / temperature, axis=1)[np.arange(len(targets)), targets].mean())


def honest(seed: int, examples: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose probabilities mean what they say: the targets are drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2.0, size=(examples, labels))
    draws = random.uniform(size=(examples, 1))
    return logits, (softmax(logits).astype(np.float64).cumsum(axis=1) < draws).sum(axis=1).clip(max=labels - 1)


@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("hidden", [0.3, 1.0, 4.0])
def test_it_finds_the_temperature_that_was_hidden(hidden: float, labels: int) -> None:
    logits, targets = honest(7, 20_000, labels)
    found = fit_temperature((logits * hidden).astype(np.float32), targets)
    assert found == pytest.approx(hidden, rel=0.05)


def test_it_is_where_scipy_finds_it() -> None:
    logits, targets = honest(8, 300, 3)
    logits *= 3
    theirs = minimize_scalar(lambda place: loss(logits, targets, float(np.exp(place))), bounds=(-4.6, 4.6))
    assert fit_temperature(logits, targets) == pytest.approx(np.exp(theirs.x), rel=1e-3)


def test_probabilities_that_were_too_sure_are_mended_and_no_label_changes() -> None:
    logits, targets = honest(9, 5_000, 3)
    logits *= 4
    temperature = fit_temperature(logits, targets)
    assert temperature is not None
    before, after = softmax(logits), softmax(logits / temperature)
    assert calibration_error(before, targets) > 0.1
    assert calibration_error(after, targets) < 0.03
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (12, 3), elements=st.floats(-50, 50)), arrays(np.int64, 12, elements=st.integers(0, 2)))
def test_no_other_temperature_is_likelier(logits: np.ndarray, targets: np.ndarray) -> None:
    found = fit_temperature(logits, targets)
    assume(found is not None)
    assert 0.01 <= found <= 100.0001
    best = loss(logits, targets, found)
    for other in np.geomspace(0.01, 100, 60):
        assert best <= loss(logits, targets, other) + 1e-7


def test_without_a_mistake_there_is_no_best_temperature() -> None:
    logits, _ = honest(10, 50, 3)
    assert fit_temperature(logits, logits.argmax(axis=1)) is None
