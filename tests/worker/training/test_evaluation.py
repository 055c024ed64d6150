"""The figures of an evaluation, held against scikit-learn, against worked values and against plain loops."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn_metrics

from worker.training.evaluation import BINS, calibration_bins, calibration_error, evaluate

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
LABELS = ["bad", "fair", "good", "rare"]


def drawn(seed: int, examples: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that know something of the targets; the last label is never right and hardly ever given."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, labels - 1, examples)
    logits = random.normal(size=(examples, labels)) + 1.5 * (np.arange(labels) == targets[:, None])
    logits[:, -1] -= 2.0
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), targets


def columns(rows: list[dict[str, Any]]) -> list[list[float]]:
    return [[row[name] for row in rows] for name in ("precision", "recall", "f1", "support")]


@pytest.mark.parametrize("examples", [1, 2, 7, 60, 1_000])
def test_single_label_is_what_scikit_learn_says(examples: int) -> None:
    values, targets = drawn(examples, examples, len(LABELS))
    predicted, known = values.argmax(axis=1), range(len(LABELS))
    found = evaluate(values, targets, LABELS, SINGLE)
    assert found.scores["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(targets, predicted))
    f1 = sklearn_metrics.f1_score(targets, predicted, average="macro", zero_division=0)
    assert found.scores["macro_f1"] == pytest.approx(f1)
    theirs = sklearn_metrics.precision_recall_fscore_support(targets, predicted, labels=known, zero_division=0)
    np.testing.assert_allclose(columns(found.details["per_label"]), theirs)
    assert [row["label"] for row in found.details["per_label"]] == LABELS
    confusion = sklearn_metrics.confusion_matrix(targets, predicted, labels=known)
    assert found.details["confusion"] == confusion.tolist()


def test_multi_label_is_what_scikit_learn_says() -> None:
    random = np.random.default_rng(3)
    targets = (random.uniform(size=(400, 4)) < [0.5, 0.2, 0.05, 0.0]).astype(np.int32)
    values = np.clip(0.3 * random.normal(size=(400, 4)) + 0.25 + 0.5 * targets, 0, 1).astype(np.float32)
    values[0] = 0.5  # given: one half counts
    predicted = values >= 0.5
    found = evaluate(values, targets, LABELS, MULTI)
    assert found.scores == {
        "accuracy": pytest.approx(sklearn_metrics.accuracy_score(targets, predicted)),
        "micro_f1": pytest.approx(sklearn_metrics.f1_score(targets, predicted, average="micro")),
        "macro_f1": pytest.approx(sklearn_metrics.f1_score(targets, predicted, average="macro", zero_division=0)),
    }
    theirs = sklearn_metrics.precision_recall_fscore_support(targets, predicted, zero_division=0)
    np.testing.assert_allclose(columns(found.details["per_label"]), theirs)


def test_regression_is_what_scikit_learn_says() -> None:
    random = np.random.default_rng(4)
    targets = random.uniform(1, 5, (300, 1))
    values = (targets + random.normal(size=(300, 1))).astype(np.float32)
    assert evaluate(values, targets, ["stars"], REGRESSION).scores == {
        "mae": pytest.approx(sklearn_metrics.mean_absolute_error(targets, values)),
        "rmse": pytest.approx(sklearn_metrics.root_mean_squared_error(targets, values)),
        # The covariance over both deviations.
        "pearson_r": pytest.approx(
            float(np.mean((targets - targets.mean()) * (values - values.mean())) / (targets.std() * values.std()))
        ),
    }


@pytest.mark.parametrize(("values", "targets"), [([[3.1], [3.1]], [[1.0], [2.0]]), ([[1.0], [2.0]], [[4.4], [4.4]])])
def test_a_constant_correlates_with_nothing(values: list, targets: list) -> None:
    scores = evaluate(np.array(values, np.float32), np.array(targets, np.float32), ["stars"], REGRESSION).scores
    assert scores["pearson_r"] is None


def test_the_calibration_error_of_a_worked_example() -> None:
    # Four answers of 0.9, three of them right, and one of 0.6 that is wrong: (4 * 0.15 + 1 * 0.6) / 5.
    sure, unsure = [0.9, 0.1], [0.6, 0.4]
    values = np.array([sure, sure, sure, sure, unsure])
    targets = np.array([0, 0, 0, 1, 1])
    assert calibration_error(values, targets) == pytest.approx(0.24)
    bins = calibration_bins(values, targets)
    assert bins == [
        {"count": 1, "confidence": pytest.approx(0.6), "accuracy": 0.0},
        {"count": 4, "confidence": pytest.approx(0.9), "accuracy": 0.75},
    ]
    found = evaluate(values, targets, ["a", "b"], SINGLE)
    assert (found.scores["ece"], found.details["reliability"]) == (pytest.approx(0.24), bins)


def loops(values: np.ndarray, targets: np.ndarray) -> float:
    """The calibration error bin by bin, as its definition reads."""
    error = 0.0
    for number in range(1, BINS + 1):
        inside = [
            (float(max(row)), int(np.argmax(row)) == target)
            for row, target in zip(values.astype(np.float64), targets, strict=True)
            if (number - 1) / BINS < max(row) <= number / BINS
        ]
        if inside:
            confidence = sum(top for top, _ in inside) / len(inside)
            accuracy = sum(right for _, right in inside) / len(inside)
            error += len(inside) / len(values) * abs(accuracy - confidence)
    return error


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    examples, labels = draw(st.integers(1, 40)), draw(st.integers(2, 6))
    weights = draw(arrays(np.float64, (examples, labels), elements=st.floats(0.01, 100)))
    targets = draw(arrays(np.int64, examples, elements=st.integers(0, labels - 1)))
    return weights / weights.sum(axis=1, keepdims=True), targets


@given(problems())
def test_the_calibration_error_is_its_definition(problem: tuple[np.ndarray, np.ndarray]) -> None:
    values, targets = problem
    assert calibration_error(values, targets) == pytest.approx(loops(values, targets), abs=1e-9)


@settings(max_examples=50)
@given(problems())
def test_the_figures_of_any_problem_add_up_and_are_json(problem: tuple[np.ndarray, np.ndarray]) -> None:
    values, targets = problem
    labels = [f"label {at}" for at in range(values.shape[1])]
    found = evaluate(values, targets, labels, SINGLE)
    json.dumps([found.scores, found.details], allow_nan=False)
    assert all(0 <= score <= 1 for score in found.scores.values())
    confusion = np.array(found.details["confusion"])
    assert confusion.sum() == sum(one["count"] for one in found.details["reliability"]) == len(targets)
    assert found.scores["accuracy"] == confusion.trace() / len(targets)
    # In another order of the examples all is the same.
    turned = evaluate(values[::-1], targets[::-1], labels, SINGLE)
    assert turned.scores == pytest.approx(found.scores)
    assert turned.details["confusion"] == found.details["confusion"]


@given(st.integers(2, 6), st.integers(1, 20))
def test_answers_that_are_all_right_score_full_marks(labels: int, examples: int) -> None:
    targets = np.arange(examples) % labels
    found = evaluate(np.eye(labels)[targets], targets, [str(at) for at in range(labels)], SINGLE)
    assert found.scores == {"accuracy": 1.0, "macro_f1": 1.0, "ece": 0.0}


def test_another_problem_type_is_named_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match="'ranking' is not one of single_label_classification"):
        evaluate(np.ones((1, 2)), np.zeros(1, int), ["a", "b"], "ranking")
