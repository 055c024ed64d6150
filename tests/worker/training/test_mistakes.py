"""The surest mistakes come first, and what is right is not among them."""

import json

import numpy as np

from worker.training.mistakes import worst_mistakes

LABELS = ["bad", "fair", "good"]


def test_the_surest_wrong_labels_come_first() -> None:
    values = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.05, 0.9, 0.05], [0.02, 0.02, 0.96]])
    found = worst_mistakes(values, np.array([1, 0, 0, 2]), [11, 12, 13, 14], LABELS, "single_label_classification")
    assert found == [
        {"review_id": 13, "right": "bad", "predicted": "fair", "probability": 0.9},
        {"review_id": 12, "right": "bad", "predicted": "good", "probability": 0.8},
        {"review_id": 11, "right": "fair", "predicted": "bad", "probability": 0.5},
    ]


def test_a_set_of_labels_is_as_wrong_as_its_wrongest_label() -> None:
    values = np.array([[0.9, 0.2, 0.6], [0.9, 0.2, 0.6], [0.9, 0.2, 0.6]])
    targets = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0]])
    found = worst_mistakes(values, targets, [11, 12, 13], LABELS, "multi_label_classification")
    given = ["bad", "good"]
    assert found == [
        {"review_id": 13, "right": ["bad", "fair"], "predicted": given, "probability": 0.8},
        {"review_id": 12, "right": ["bad"], "predicted": given, "probability": 0.6},
    ]


def test_the_largest_errors_of_a_regression_come_first() -> None:
    values, targets = np.array([[1.5], [4.0], [2.0]], np.float32), np.array([[1.0], [1.0], [2.0]])
    found = worst_mistakes(values, targets, [11, 12, 13], ["stars"], "regression")
    assert found == [
        {"review_id": 12, "right": 1.0, "predicted": 4.0, "probability": None},
        {"review_id": 11, "right": 1.0, "predicted": 1.5, "probability": None},
    ]


def test_twenty_are_enough_and_they_are_json() -> None:
    values = np.random.default_rng(0).dirichlet(np.ones(3), 500).astype(np.float32)
    found = worst_mistakes(values, np.zeros(500, np.int32), list(range(500)), LABELS, "single_label_classification")
    assert len(json.loads(json.dumps(found))) == 20
    tops = np.sort(values.max(axis=1)[values.argmax(axis=1) != 0])[::-1]
    np.testing.assert_allclose([one["probability"] for one in found], tops[:20])
