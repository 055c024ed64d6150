"""A fit traces its step once, whatever it measures, and comes to the same weights in however many parts."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.training import TrainingExample
from tests.samples import CHECKPOINTS
from worker.checkpoints import encoding
from worker.checkpoints.classifier import Classifier
from worker.checkpoints.load import load_classifier
from worker.checkpoints.tokenizer import load_tokenizer
from worker.training.fit import compile_classifier, encode_examples, fit_classifier

CASES = [
    (SINGLE_LABEL, ("bad", "good"), ("bad", "good")),
    (MULTI_LABEL, ("price", "screen"), ("price", "")),
    (REGRESSION, ("stars",), ("1.5", "4")),
]


def fitted(
    problem_type: str, labels: Sequence[str], told: Sequence[str], train: Callable[[Classifier], None] = lambda _: None
) -> Classifier:
    """The small BERT after three steps on five texts, the last on one of them."""
    model = load_classifier(CHECKPOINTS / "bert", labels=labels, problem_type=problem_type, seed=7)
    params = {"learning_rate": 1e-3, "steps": 3, "epochs": 1, "seed": 5, "class_weights": "none"}
    params |= {"batch_size": 2, "accumulate": 1}
    compile_classifier(model, params)
    train(model)
    tokenizer = load_tokenizer(CHECKPOINTS / "bert")
    rows = [TrainingExample(at, "film " * (at + 1), None, told[at % 2]) for at in range(5)]
    data = encode_examples(tokenizer, rows, labels, problem_type, 16, lambda: None)
    fit_classifier(model, data, params, tokenizer.pad_token_id, [])
    return model


@pytest.mark.parametrize(("problem_type", "labels", "told"), CASES)
def test_a_step_is_traced_once(problem_type: str, labels: Sequence[str], told: Sequence[str]) -> None:
    traced = []

    def count(model: Classifier) -> None:
        train_step = model.train_step
        model.train_step = lambda batch: (traced.append(1), train_step(batch))[1]

    assert int(fitted(problem_type, labels, told, count).optimizer.iterations) == 3
    assert len(traced) == 1


@pytest.mark.parametrize("parts", [2, 3])
def test_any_number_of_parts_trains_the_same(monkeypatch: pytest.MonkeyPatch, parts: int) -> None:
    made = []
    for count in (1, parts):
        monkeypatch.setattr(encoding, "parts_at_once", lambda count=count: count)
        made.append(fitted(*CASES[0]))
    before = load_classifier(CHECKPOINTS / "bert", labels=CASES[0][1], seed=7)
    moved, apart = (
        sum(float(np.abs(mine - other).sum()) for mine, other in zip(made[0].weights, model.weights, strict=True))
        for model in (before, made[1])
    )
    # Dropout is on: it leaves out the same. Adam takes a step of full size also where a gradient is only rounding.
    assert apart < 0.02 * moved
