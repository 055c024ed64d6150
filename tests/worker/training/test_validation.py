"""What is measured between steps is what scikit-learn finds in the model's answers, and disturbs no training."""

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL, read_checkpoint_facts
from db.training import TrainingExample
from tests.samples import CHECKPOINTS
from worker.checkpoints.load import load_classifier
from worker.checkpoints.tokenizer import load_tokenizer
from worker.training.fit import encode_examples
from worker.training.validation import Validation


def validation(name: str, problem_type: str, right: list[str], texts: list[str]) -> Validation:
    tokenizer, facts = load_tokenizer(CHECKPOINTS / name), read_checkpoint_facts(CHECKPOINTS / name)
    examples = [TrainingExample(0, text, None, label) for text, label in zip(texts, right, strict=True)]
    data = encode_examples(tokenizer, examples, facts.labels or (), problem_type, facts.max_tokens, lambda: None)
    model = load_classifier(CHECKPOINTS / name)
    return Validation(model, data, tokenizer.pad_token_id, 64, lambda: None)


def reference(name: str) -> tuple[list[str], np.ndarray, tuple[str, ...]]:
    """Texts, and what the transformers pipeline says of them, [texts, labels]."""
    rows = json.loads((CHECKPOINTS / name / "reference.json").read_text())["rows"]
    rows = [row for row in rows if row["pair"] is None and row["text"].strip()]
    labels = read_checkpoint_facts(CHECKPOINTS / name).labels or ()
    return (
        [row["text"] for row in rows],
        np.array([[row["probabilities"][one] for one in labels] for row in rows]),
        labels,
    )


def test_single_labels() -> None:
    texts, values, labels = reference("bert")
    values /= values.sum(axis=1, keepdims=True)  # they are told with some digits only
    right = [labels[at % 3] for at in range(len(texts))]
    predicted = [labels[at] for at in values.argmax(axis=1)]
    assert validation("bert", SINGLE_LABEL, right, texts).measure() == {
        "loss": pytest.approx(sklearn_metrics.log_loss(right, values, labels=labels), rel=1e-4),
        "accuracy": pytest.approx(sklearn_metrics.accuracy_score(right, predicted)),
        "macro_f1": pytest.approx(sklearn_metrics.f1_score(right, predicted, average="macro")),
    }


def test_several_labels() -> None:
    texts, values, labels = reference("roberta-multi-label")
    right = ["|".join(label for at, label in enumerate(labels) if (row + at) % 2) for row in range(len(texts))]
    targets = np.array([[(row + at) % 2 for at in range(len(labels))] for row in range(len(texts))])
    losses = -(targets * np.log(values) + (1 - targets) * np.log(1 - values))
    answers = values >= 0.5
    assert validation("roberta-multi-label", MULTI_LABEL, right, texts).measure() == {
        "loss": pytest.approx(losses.mean(), rel=1e-4),
        "accuracy": pytest.approx(sklearn_metrics.accuracy_score(targets, answers)),
        "macro_f1": pytest.approx(sklearn_metrics.f1_score(targets, answers, average="macro", zero_division=0)),
    }


def test_numbers() -> None:
    texts, values, _ = reference("bert-regression")
    right = [float(at) for at in range(len(texts))]
    assert validation("bert-regression", REGRESSION, [repr(one) for one in right], texts).measure() == {
        "loss": pytest.approx(sklearn_metrics.mean_squared_error(right, values[:, 0]), rel=1e-4),
        "mae": pytest.approx(sklearn_metrics.mean_absolute_error(right, values[:, 0]), rel=1e-4),
    }


def test_nothing_is_measured_of_no_examples() -> None:
    assert validation("bert", SINGLE_LABEL, [], []).measure() == {}
