"""A fit traces its step once, whatever it measures."""

from collections.abc import Sequence

import pytest

from db.checkpoint import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from db.training import TrainingExample
from tests.samples import CHECKPOINTS
from worker.checkpoints.load import load_classifier
from worker.checkpoints.tokenizer import load_tokenizer
from worker.training.fit import compile_classifier, encode_examples, fit_classifier

CASES = [
    (SINGLE_LABEL, ("bad", "good"), ("bad", "good")),
    (MULTI_LABEL, ("price", "screen"), ("price", "")),
    (REGRESSION, ("stars",), ("1.5", "4")),
]


@pytest.mark.parametrize(("problem_type", "labels", "told"), CASES)
def test_a_step_is_traced_once(problem_type: str, labels: Sequence[str], told: Sequence[str]) -> None:
    model = load_classifier(CHECKPOINTS / "bert", labels=labels, problem_type=problem_type)
    params = {"learning_rate": 1e-3, "steps": 3, "epochs": 1, "seed": 5, "class_weights": "none"}
    params |= {"batch_size": 2, "accumulate": 1}
    compile_classifier(model, params)
    tokenizer = load_tokenizer(CHECKPOINTS / "bert")
    rows = [TrainingExample(at, "film " * (at + 1), None, told[at % 2]) for at in range(5)]
    data = encode_examples(tokenizer, rows, labels, problem_type, 16, lambda: None)
    traced, train_step = [], model.train_step
    model.train_step = lambda batch: (traced.append(1), train_step(batch))[1]
    fit_classifier(model, data, params, tokenizer.pad_token_id, [])
    assert len(traced) == 1
    assert int(model.optimizer.iterations) == 3
