"""What a student is trained on: softened as scipy's softmax softens, and losses worked out here in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, log_softmax, softmax

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from worker.training.distillation import DistillationLoss, soften, taught_metrics_of, taught_targets

LABELS = ["bad", "fair", "good"]
TEACHER = softmax(np.array([[2.0, 0.5, -1.0], [0.1, 0.2, 3.0], [-1.0, 1.0, 0.0]]), axis=1).astype(np.float32)
STUDENT = np.array([[1.0, -0.5, 0.3], [0.0, 0.4, 1.1], [0.2, 0.1, -0.3]], np.float32)


def targets(
    told: list[str | None], kind: str = SINGLE_LABEL, weight: float = 0.3, temperature: float = 2.0
) -> np.ndarray:
    answers = TEACHER if kind != REGRESSION else TEACHER[:, :1]
    labels = LABELS if kind != REGRESSION else ["stars"]
    return taught_targets(answers, told, labels, kind, temperature=temperature, label_weight=weight)


def loss(kind: str, packed: np.ndarray, logits: np.ndarray, temperature: float = 2.0) -> float:
    return float(DistillationLoss(kind, temperature)(packed, logits))


@given(arrays(np.float64, (5, 4), elements=st.floats(-12, 12)), st.floats(0.5, 20))
def test_softened_probabilities_are_those_of_the_divided_logits(logits: np.ndarray, temperature: float) -> None:
    found = soften(softmax(logits, axis=1), temperature)
    np.testing.assert_allclose(found, softmax(logits / temperature, axis=1), atol=1e-9)


def test_a_probability_of_nothing_stays_finite() -> None:
    np.testing.assert_allclose(soften(np.array([[1.0, 0.0]], np.float32), 1.0), [[1.0, 0.0]], atol=1e-12)


def test_teacher_and_label_have_their_shares_of_the_loss_and_without_a_label_the_teacher_has_all() -> None:
    soft, hard = softmax(np.log(TEACHER.astype(np.float64)) / 2, axis=1), np.eye(3)[[2, 0, 0]]
    own, softened = log_softmax(STUDENT.astype(np.float64), axis=1), log_softmax(STUDENT.astype(np.float64) / 2, axis=1)
    from_teacher = -4 * (soft * softened).sum(axis=1)
    from_labels = -(hard * own).sum(axis=1)
    shares = np.array([0.3, 0.0, 0.3])
    expected = (shares * from_labels + (1 - shares) * from_teacher).mean()
    assert loss(SINGLE_LABEL, targets(["good", None, "bad"]), STUDENT) == pytest.approx(expected, rel=1e-5)


def test_at_temperature_1_without_labels_it_is_the_cross_entropy() -> None:
    expected = -(TEACHER * log_softmax(STUDENT.astype(np.float64), axis=1)).sum(axis=1).mean()
    packed = targets([None] * 3, temperature=1.0)
    assert loss(SINGLE_LABEL, packed, STUDENT, temperature=1.0) == pytest.approx(expected, rel=1e-5)


def test_several_labels_are_each_a_problem_of_two() -> None:
    right, chances = np.array([[1, 0, 1], [0, 0, 0], [0, 0, 0]]), expit(STUDENT.astype(np.float64))

    def entropy(values: np.ndarray) -> np.ndarray:
        return -(values * np.log(chances) + (1 - values) * np.log(1 - chances)).mean(axis=1)

    shares = np.array([0.3, 0.3, 0.0])
    expected = (shares * entropy(right) + (1 - shares) * entropy(TEACHER)).mean()
    packed = targets(["bad|good", "", None], MULTI_LABEL)
    assert loss(MULTI_LABEL, packed, STUDENT, temperature=7.0) == pytest.approx(expected, rel=1e-5)


def test_a_number_is_learned_by_its_squared_error() -> None:
    numbers = STUDENT[:, :1]
    to_teacher, to_label = (numbers - TEACHER[:, :1])[:, 0] ** 2, (numbers[:, 0] - [4.5, 0, 0]) ** 2
    expected = np.mean([0.3 * to_label[0] + 0.7 * to_teacher[0], to_teacher[1], to_teacher[2]])
    packed = targets(["4.5", None, None], REGRESSION)
    assert loss(REGRESSION, packed, numbers, temperature=7.0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "teacher", "student", "name", "value"),
    [
        (SINGLE_LABEL, [[0.6, 0.4], [0.3, 0.7]], [[1.0, -1.0], [1.0, -1.0]], "agreement", 0.5),
        (MULTI_LABEL, [[0.6, 0.4], [0.3, 0.7]], [[0.1, -0.1], [0.2, 0.3]], "agreement", 0.5),
        (REGRESSION, [[1.0], [2.0]], [[1.5], [0.5]], "mae", 1.0),
    ],
)
def test_the_curve_tells_how_far_the_student_is_from_its_teacher(
    kind: str, teacher: list, student: list, name: str, value: float
) -> None:
    labels = ["a", "b"][: len(teacher[0])]
    packed = taught_targets(
        np.array(teacher, np.float32), [None, None], labels, kind, temperature=3.0, label_weight=0.5
    )
    (metric,) = taught_metrics_of(kind)
    metric.update_state(packed, np.array(student, np.float32))
    assert (metric.name, float(metric.result())) == (name, pytest.approx(value))
